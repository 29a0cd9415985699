"""What the gender network is to learn of a batch: labels as far as they are known, and what lessons say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("sklearn", reason="needs the training extra")

from convert.gender.augment import UNKNOWN, Batch  # noqa: E402  # after the check for the extra
from convert.gender.objective import Objective, Taught  # noqa: E402
from convert.gender.recognition import POINT, Lessons  # noqa: E402
from convert.gender.records import Faces, load_faces  # noqa: E402

pytestmark = pytest.mark.convert
COUNT = 12
PLAIN = Objective(smoothing=0.0, other_heads=0.15, teacher_share=0.7)


@pytest.fixture
def faces(write_gender_dataset: Callable[..., None], tmp_path: Path) -> Faces:
    write_gender_dataset(tmp_path, COUNT, twins=False)
    return load_faces(tmp_path, tmp_path / "cache")


def batch(sex: list[int], face: list[int], partner: list[int] | None = None, share: float = 1.0) -> Batch:
    """Faces whose age and race nobody knows."""
    count = len(sex)
    unknown, crops = np.full(count, UNKNOWN), np.zeros((count, 8, 8, 3), np.uint8)
    shares = np.full(count, share, np.float32)
    return Batch(np.array(face), crops, np.array(sex), unknown, unknown, np.array(partner or face), shares)


def heads(*male: float) -> tuple[torch.Tensor, ...]:
    """What a network says that holds each face male with this probability."""
    scores = torch.log(torch.tensor([[p, 1 - p] for p in male]))
    return scores, torch.zeros(len(male), 9), torch.zeros(len(male), 7), torch.ones(len(male), 3)


def test_a_label_that_is_not_known_counts_for_nothing() -> None:
    known = PLAIN(heads(0.8), batch([0], [0]), None, None)
    among = PLAIN(heads(0.8, 0.3), batch([0, UNKNOWN], [0, 1]), None, None)
    assert float(known) == pytest.approx(-np.log(0.8), abs=1e-5)
    assert float(among) == pytest.approx(float(known), abs=1e-6)
    assert float(PLAIN(heads(0.3), batch([UNKNOWN], [0]), None, None)) == 0


def test_teachers_count_for_their_share() -> None:
    told = torch.tensor([[0.4, 0.6]])
    said = -(0.4 * np.log(0.8) + 0.6 * np.log(0.2))
    loss = float(PLAIN(heads(0.8), batch([0], [0]), told, None))
    assert loss == pytest.approx(0.7 * said - 0.3 * np.log(0.8), abs=1e-5)


def test_lessons_count_as_far_as_they_are_trusted_and_points_are_to_be_hit(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lessons, "trust", lambda _self, photos: np.full(len(photos.files), 0.5, np.float32))
    answers = np.zeros((COUNT, 2), np.float32)
    answers[4], answers[5] = (0.2, 0.8), (0.6, 0.4)
    points = np.ones((COUNT, POINT), np.float32)
    points[5] = -1
    point = torch.nn.Linear(3, POINT)
    torch.nn.init.constant_(point.weight, 1.0)
    torch.nn.init.zeros_(point.bias)
    taught = Taught(Lessons(points, answers), faces, 0.8, point)

    def loss(one: Batch) -> float:
        return float(PLAIN(heads(0.8), one, None, taught).detach())

    def expected(male: float) -> float:
        said = -(male * np.log(0.8) + (1 - male) * np.log(0.2))
        return 0.4 * said - 0.6 * np.log(0.8)

    assert loss(batch([0], [4])) == pytest.approx(expected(0.2), abs=1e-5), "its point is hit"
    assert loss(batch([0], [5])) == pytest.approx(expected(0.6) + 2, abs=1e-5), "its point is the opposite"
    of_both = batch([0], [4], partner=[5], share=0.75)
    assert loss(of_both) == pytest.approx(expected(0.75 * 0.2 + 0.25 * 0.6), abs=1e-5)
