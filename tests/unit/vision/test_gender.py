"""The shipped gender network, and the contract by which another can take its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from convert.gender import levi_hassner
from edge_agent.errors import ModelError
from edge_agent.types import Image
from edge_agent.vision.dnn import load_caffe
from edge_agent.vision.gender import GenderClassifier
from edge_agent.vision.manifest import InputContract, ModelEntry
from edge_agent.vision.store import ModelStore

#: The face of skimage's public-domain portrait, as the shipped face net boxes it.
BOX = (181.2, 61.4, 270.8, 176.3)
#: What the shipped network said of it when its card was written: too little to tell, `unknown` at run time.
PORTRAIT_FEMALE = 0.1698


@pytest.fixture(scope="module")
def portrait() -> Image:
    return np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])


@pytest.fixture(scope="module")
def shipped() -> GenderClassifier:
    return GenderClassifier.load(ModelStore(), "gender_net", backend="cpu")


def entry(**changes: object) -> ModelEntry:
    """Levi and Hassner's contract, as a manifest would give it."""
    given = {"name": "theirs", "role": "gender", "bundled": False, "licence": "", "source": "", "files": ()}
    fed = InputContract(width=227, height=227, colour="BGR", mean=(78.4263377603, 87.7689143744, 114.895847746))
    return ModelEntry(**{**given, "labels": ("male", "female"), "input": fed, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = tmp_path_factory.mktemp("weights") / "random.caffemodel"
    levi_hassner.write_weights(weights)
    return weights


def test_answers_on_a_portrait_as_when_it_was_shipped(shipped: GenderClassifier, portrait: Image) -> None:
    scores = shipped.classify(portrait, BOX)

    assert scores is not None
    assert scores.female == pytest.approx(PORTRAIT_FEMALE, abs=0.005)
    assert scores.male + scores.female == pytest.approx(1.0)


def test_a_mirrored_face_gets_the_same_answer(shipped: GenderClassifier, portrait: Image) -> None:
    threshold = ModelStore().entry("gender_net").threshold
    assert threshold is not None
    width = portrait.shape[1]
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    box = (width - BOX[2], BOX[1], width - BOX[0], BOX[3])

    looks = shipped.classify(portrait, BOX), shipped.classify(mirrored, box)

    answers = {(look.male >= threshold, look.female >= threshold) for look in looks if look is not None}
    assert len(answers) == 1


def test_a_face_is_seen_in_a_mirror_if_that_is_asked_for(shipped: GenderClassifier, portrait: Image) -> None:
    box, width = (180.0, 60.0, 270.0, 180.0), portrait.shape[1]
    mirrored = np.ascontiguousarray(portrait[:, ::-1])

    told = shipped.classify(portrait, box, mirrored=True)
    expected = shipped.classify(mirrored, (width - box[2], box[1], width - box[0], box[3]))

    assert told is not None
    assert expected is not None
    assert told.male == pytest.approx(expected.male, abs=0.01)
    assert told != shipped.classify(portrait, box)


def test_the_frame_is_left_alone(shipped: GenderClassifier, portrait: Image) -> None:
    before = portrait.copy()

    shipped.classify(portrait, BOX)

    assert np.array_equal(portrait, before)


def test_an_answer_does_not_depend_on_the_one_before(shipped: GenderClassifier, portrait: Image) -> None:
    first = shipped.classify(portrait, BOX)
    shipped.classify(portrait, (0, 0, 100, 100))

    assert shipped.classify(portrait, BOX) == first


def test_a_face_at_the_edge_is_still_looked_at(shipped: GenderClassifier, portrait: Image) -> None:
    assert shipped.classify(portrait[:, 200:], (-18.0, 62.0, 70.0, 185.0)) is not None


@pytest.mark.parametrize("box", [(600, 0, 700, 100), (50, 50, 50, 90), (-90, -90, -10, -10)])
def test_a_box_without_a_pixel_gets_no_answer(
    shipped: GenderClassifier, portrait: Image, box: tuple[int, int, int, int]
) -> None:
    assert shipped.classify(portrait, box) is None


def test_the_manifest_gives_a_threshold_between_even_and_sure() -> None:
    threshold = ModelStore().entry("gender_net").threshold

    assert threshold is not None
    assert 0.5 < threshold < 1.0


def test_the_shipped_files_are_small() -> None:
    assert sum(path.stat().st_size for path in ModelStore().paths("gender_net")) <= 3_000_000


def test_the_network_of_2015_can_take_its_place(random_weights: Path, portrait: Image) -> None:
    described = ModelStore().entry("levi_hassner")
    theirs = GenderClassifier(levi_hassner.structure(), random_weights, described, backend="cpu")

    scores = theirs.classify(portrait, BOX)

    assert scores is not None
    assert scores.male + scores.female == pytest.approx(1.0)


def test_an_input_that_the_network_cannot_take_is_refused(random_weights: Path) -> None:
    small = entry(input=InputContract(width=100, height=100, colour="BGR"))
    with pytest.raises(ModelError, match="can't take 100 x 100 pixels, as the manifest's input of"):
        GenderClassifier(levi_hassner.structure(), random_weights, small, backend="cpu")


def test_labels_tell_which_output_is_which(random_weights: Path, portrait: Image) -> None:
    straight = GenderClassifier(levi_hassner.structure(), random_weights, entry(), backend="cpu")
    turned = GenderClassifier(
        levi_hassner.structure(), random_weights, entry(labels=("female", "male")), backend="cpu"
    )

    one, other = straight.classify(portrait, BOX), turned.classify(portrait, BOX)

    assert one is not None
    assert other is not None
    assert one.male != pytest.approx(0.5, abs=1e-6)
    assert other.female == pytest.approx(one.male, abs=1e-6)


def test_the_mean_is_subtracted_in_the_order_of_the_colours(random_weights: Path) -> None:
    """A picture of nothing but the mean is black to the network, whichever order it is fed in."""
    answers = []
    for colour, picture in (("BGR", (10, 60, 200)), ("RGB", (200, 60, 10))):
        fed = InputContract(width=227, height=227, colour=colour, mean=(10.0, 60.0, 200.0))  # type: ignore[arg-type]
        net = GenderClassifier(levi_hassner.structure(), random_weights, entry(input=fed), backend="cpu")
        answers.append(net.classify(np.full((300, 300, 3), picture, np.uint8), (50, 50, 250, 250)))
    black = InputContract(width=227, height=227, colour="BGR")
    net = GenderClassifier(levi_hassner.structure(), random_weights, entry(input=black), backend="cpu")
    answers.append(net.classify(np.zeros((300, 300, 3), np.uint8), (50, 50, 250, 250)))

    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("changes", [{"input": None}, {"labels": ("a", "b")}, {"labels": ()}])
def test_an_entry_that_says_too_little_is_refused(random_weights: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="square input and the labels"):
        GenderClassifier(levi_hassner.structure(), random_weights, entry(**changes), backend="cpu")


def test_a_network_of_another_shape_is_refused(tmp_path: Path, random_weights: Path) -> None:
    without_softmax = tmp_path / "raw.prototxt"
    lines = levi_hassner.structure().read_text(encoding="utf-8").splitlines()
    without_softmax.write_text("\n".join(line for line in lines if "Softmax" not in line), encoding="utf-8")

    with pytest.raises(ModelError, match="two probabilities"):
        GenderClassifier(without_softmax, random_weights, entry(), backend="cpu")


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    prototxt, weights = tmp_path / "a.prototxt", tmp_path / "a.caffemodel"
    prototxt.write_text("this is not a network {", encoding="utf-8")
    weights.write_bytes(b"nor are these weights")

    with pytest.raises(ModelError, match="not a Caffe network"):
        load_caffe(prototxt, weights, backend="cpu")


def test_cuda_that_is_not_there_is_the_processor(random_weights: Path) -> None:
    net = GenderClassifier(levi_hassner.structure(), random_weights, entry(), backend="cuda")

    assert net.classify(np.zeros((300, 300, 3), np.uint8), (50, 50, 250, 250)) is not None
