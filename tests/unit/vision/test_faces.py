"""What every face detector promises: boxes inside the image and never empty, at any size and shape of image."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edge_agent.config import FaceSettings
from edge_agent.errors import ModelError
from edge_agent.types import Box, Face
from edge_agent.vision.faces import FaceDetector, create
from edge_agent.vision.faces.detector import tidy
from edge_agent.vision.faces.edge_face import EdgeFace, decode, suppress
from edge_agent.vision.faces.factory import threshold_for
from edge_agent.vision.faces.letterbox import Letterbox
from edge_agent.vision.faces.yunet import YuNet
from edge_agent.vision.manifest import ModelEntry
from edge_agent.vision.store import ModelStore, bundled_directory

MODELS = bundled_directory()
CLIP = Path(__file__).resolve().parents[3] / "edge_agent/assets/demo.mp4"
# The face of scikit-image's astronaut, by eye.
ASTRONAUT = (173.0, 65.0, 273.0, 190.0)


@pytest.fixture(name="astronaut")
def _astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


def _detector(kind: str) -> FaceDetector:
    try:
        return create(FaceSettings.model_validate({"detector": kind}), ModelStore())
    except ModelError as error:
        if kind == "edge_face":
            raise  # ships with the program: it has to be there
        pytest.skip(f"not fetched: {error}")


def _iou(a: Box, b: tuple[float, ...]) -> float:
    inter = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return float(inter / union)


@pytest.mark.parametrize("kind", ["edge_face", "res10", "yunet"])
def test_finds_the_astronaut(kind: str, astronaut: np.ndarray) -> None:
    faces = _detector(kind).detect(astronaut)
    assert 1 <= len(faces) <= 2  # the badges on her suit are tempting
    assert _iou(faces[0].box, ASTRONAUT) > 0.5
    assert faces[0].score > 0.5


@pytest.mark.parametrize("kind", ["edge_face", "res10", "yunet"])
def test_finds_her_at_other_sizes_and_shapes(kind: str, astronaut: np.ndarray) -> None:
    detector = _detector(kind)
    for height, width, zoom in ((480, 640, 0.9), (720, 1280, 1.3), (640, 360, 0.6), (400, 400, 0.75)):
        frame = np.zeros((height, width, 3), np.uint8)
        small = cv2.resize(astronaut, None, fx=zoom, fy=zoom)[:height, :width]
        frame[: small.shape[0], : small.shape[1]] = small
        faces = detector.detect(frame)
        assert len(faces) >= 1, (height, width)
        assert _iou(faces[0].box, tuple(zoom * side for side in ASTRONAUT)) > 0.5


@pytest.mark.parametrize(("height", "width"), [(480, 640), (720, 1280), (1280, 720)])
def test_the_shipped_net_finds_her_in_each_corner(height: int, width: int, astronaut: np.ndarray) -> None:
    detector = _detector("edge_face")
    zoom = 0.65 * min(height, width) / 512
    small = cv2.resize(astronaut[:320, 60:380], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    for x in (0, width - small.shape[1]):
        for y in (0, height - small.shape[0]):
            frame = np.full((height, width, 3), 90, np.uint8)
            frame[y : y + small.shape[0], x : x + small.shape[1]] = small
            her = [
                offset + zoom * (side - cut)
                for side, offset, cut in zip(ASTRONAUT, (x, y, x, y), (60, 0, 60, 0), strict=True)
            ]
            faces = detector.detect(frame)
            assert faces, (x, y)
            assert _iou(faces[0].box, tuple(her)) > 0.5, (x, y)


@pytest.mark.parametrize("kind", ["edge_face", "res10", "yunet"])
def test_boxes_are_never_empty_nor_outside(kind: str) -> None:
    settings = FaceSettings.model_validate({"detector": kind, "threshold": 0.02})
    _detector(kind)
    detector = create(settings, ModelStore())
    noise = np.random.default_rng(0).integers(0, 255, (97, 211, 3), dtype=np.uint8)
    for image in (noise, cv2.resize(noise, (640, 480)), np.zeros((480, 640, 3), np.uint8), noise[:1, :1]):
        faces = detector.detect(np.ascontiguousarray(image))
        assert faces or kind != "edge_face" or image.max() == 0 or image.size == 3
        for box, score, visible in faces:
            assert 0 <= box.x1 <= box.x2 - 1 <= image.shape[1] - 1
            assert 0 <= box.y1 <= box.y2 - 1 <= image.shape[0] - 1
            assert 0 <= score <= 1
            assert 0 < visible <= 1
        scores = [face.score for face in faces]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("threshold", "finds"), [(0.0, True), (1.0, False)])
def test_the_ends_of_the_threshold(threshold: float, finds: bool) -> None:
    detector = create(FaceSettings(threshold=threshold), ModelStore())
    assert bool(detector.detect(np.zeros((480, 640, 3), np.uint8))) is finds


def test_a_network_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    prototxt, caffemodel = ModelStore().paths("edge_face")
    whole = prototxt.read_text()
    (tmp_path / "old.prototxt").write_text(whole[: whole.index('layer {\n  name: "flatten"')])
    with pytest.raises(ModelError, match=r"no layer 'faces'.*to-caffe"):
        EdgeFace(tmp_path / "old.prototxt", caffemodel)


def test_the_shipped_net_finds_the_face_of_the_demo_clip() -> None:
    detector = _detector("edge_face")
    capture = cv2.VideoCapture(str(CLIP))
    found = read = 0
    while True:
        more, frame = capture.read()
        if not more:
            break
        if read % 10 == 0:
            found += len(detector.detect(np.asarray(frame, np.uint8))) > 0
        read += 1
    capture.release()
    assert read > 30
    # There are moments with nobody in view.
    assert found >= 0.5 * (read / 10)


def test_the_shipped_net_is_small() -> None:
    _, weights = ModelStore().paths("edge_face")
    assert weights.stat().st_size <= 1_500_000


def test_letterbox_keeps_the_aspect() -> None:
    canvas, scale = Letterbox(320).fit(np.full((480, 640, 3), 200, np.uint8))
    assert scale == 0.5
    assert canvas.shape == (256, 320, 3)  # 240 rows, rounded up to a multiple of 32
    assert (canvas[:240] == 200).all()
    assert (canvas[240:] == 0).all()


def test_letterbox_leaves_nothing_of_the_last_image() -> None:
    letterbox = Letterbox(320)
    letterbox.fit(np.full((470, 640, 3), 255, np.uint8))
    canvas, _ = letterbox.fit(np.full((450, 640, 3), 10, np.uint8))
    assert canvas.max() == 10


def test_letterbox_square() -> None:
    canvas, scale = Letterbox(300, square=True).fit(np.full((600, 300, 3), 9, np.uint8))
    assert canvas.shape == (300, 300, 3)
    assert scale == 0.5
    assert (canvas[:, 150:] == 0).all()


@pytest.mark.parametrize(
    "image", [np.zeros((0, 10, 3), np.uint8), np.zeros((10, 10), np.uint8), np.zeros((5, 5, 3))]
)
def test_letterbox_refuses_what_is_no_image(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected an image"):
        Letterbox(320).fit(image)


def test_tidy_clips_drops_and_sorts() -> None:
    boxes = [[-5.0, -5.0, 20.0, 20.0], [90.0, 10.0, 130.0, 60.0], [200.0, 0.0, 220.0, 20.0], [1.0, 1.0, 1.5, 40.0]]
    faces = tidy(boxes, [0.2, 0.9, 0.8, 0.7], 100, 50)
    # Half a face is worth half a look: how much is left of each is told.
    assert faces == [Face(Box(90, 10, 100, 50), 0.9, 0.2), Face(Box(0, 0, 20, 20), 0.2, 0.64)]
    assert all(type(side) is float for face in faces for side in face.box)
    assert tidy([], [], 100, 50) == []


@pytest.mark.parametrize("side", range(5))
def test_tidy_drops_what_is_no_number(side: int) -> None:
    values = [10.0, 10.0, 30.0, 30.0, 0.9]
    values[side] = float("nan")
    assert tidy([values[:4]], values[4:], 100, 50) == []


def test_decoding_by_hand() -> None:
    maps = [np.full((5, 32 // stride, 64 // stride), -20.0, np.float32) for stride in (8, 16, 32)]
    maps[1][:, 1, 2] = (0.0, 0.25, -0.5, 0.0, np.log(2.0))
    cells = np.concatenate([level.reshape(5, -1) for level in maps], axis=1)
    rectangles, scores = decode(cells, 32, 64, -1.0)
    # Centre (2.75, 1.0) strides of 16; 56 wide, 112 high.
    np.testing.assert_allclose(rectangles, [[44 - 28, 16 - 56, 56, 112]], rtol=1e-5)
    assert scores == [0.5]
    assert decode(cells, 32, 64, 1.0) == ([], [])


def test_suppress_keeps_the_best() -> None:
    rectangles = [[0.0, 0.0, 50.0, 50.0], [3.0, 3.0, 50.0, 50.0], [100.0, 100.0, 50.0, 50.0]]
    assert list(suppress(rectangles, [0.4, 0.9, 0.8])) == [1, 2]
    assert list(suppress(rectangles[:1], [0.4])) == [0]
    assert list(suppress([], [])) == []


def test_the_threshold_of_the_nearest_width() -> None:
    entry = ModelEntry.model_validate(
        {
            "name": "n", "role": "face", "bundled": True, "licence": "MIT", "source": "here", "files": [],
            "threshold": 0.3, "thresholds": {320: 0.4, 640: 0.6},
        }
    )  # fmt: skip
    assert threshold_for(entry, 352) == 0.4
    assert threshold_for(entry, 1280) == 0.6
    assert threshold_for(entry.model_copy(update={"thresholds": {}}), 320) == 0.3


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.prototxt").write_text("nonsense {")
    (tmp_path / "a.caffemodel").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"a\.prototxt"):
        EdgeFace(tmp_path / "a.prototxt", tmp_path / "a.caffemodel")
    (tmp_path / "a.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"a\.onnx"):
        YuNet(tmp_path / "a.onnx")


def test_another_caffe_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.caffemodel").write_bytes(b"")
    with pytest.raises(ModelError):
        EdgeFace(MODELS / "res10.prototxt", tmp_path / "a.caffemodel")


def test_another_network_under_its_name_is_refused_at_the_start(tmp_path: Path) -> None:
    structure, weights = ModelStore().paths("gender_net")
    files = []
    for name, content in (
        ("face_detector.prototxt", structure.read_bytes().replace(b'"prob"', b'"faces"')),
        ("face_detector.caffemodel", weights.read_bytes()),
    ):
        (tmp_path / name).write_bytes(content)
        files.append({"file": name, "sha256": hashlib.sha256(content).hexdigest()})
    entry = {"name": "edge_face", "role": "face", "bundled": True, "licence": "", "source": "", "files": files}
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    with pytest.raises(ModelError, match=r"face_detector\.prototxt.*not the network edge_face"):
        create(FaceSettings(), ModelStore(tmp_path))
