"""`edge-agent detect` on good pictures and on everything that is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from edge_agent.commands.demo import clip


def detect(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "detect", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    """Eileen Collins, by NASA, public domain: one bare face, 512×512, BGR."""
    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


def test_a_folder_of_photos_writes_the_lines_of_the_design(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), portrait)
    cv2.imwrite(str(photos / "b.jpg"), cv2.flip(portrait, 1))
    done = detect(photos, "--jsonl", tmp_path / "out.jsonl", "--annotate", tmp_path / "drawn")
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path / "out.jsonl")
    assert [line["file"] for line in found] == ["a.png", "b.jpg"]
    for line in found:
        assert (line["frame"], line["width"], line["height"]) == (0, 512, 512)
        face = line["faces"][0]  # the surest; her badge of a space shuttle may be taken for another
        assert face["score"] == max(other["score"] for other in line["faces"])
        assert set(face) == {"box", "score", "label", "label_score", "scores", "gender", "gender_score"}
        assert face["label"] == "no_mask"
        assert face["label_score"] == max(face["scores"].values())
        assert sum(face["scores"].values()) == pytest.approx(1.0, abs=0.02)
        x1, y1, x2, y2 = face["box"]
        assert 0 <= x1 < x2 <= 512 and 0 <= y1 < y2 <= 512
        assert face["gender"] in ("male", "female", "unknown")
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"a.jpg", "b.jpg"}


def test_a_video_follows_its_people(tmp_path: Path) -> None:
    done = detect(clip(), "--jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path / "out.jsonl")
    assert [line["frame"] for line in found] == list(range(len(found)))
    faces = [face for line in found for face in line["faces"]]
    assert {"person", "verdict"} <= set(faces[0])
    assert {face["verdict"] for face in faces} >= {"mask", "no_mask"}


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 700), (512, 512), (9000, 12000)], ids=["1x1", "a line", "grey", "huge"]
)
def test_any_size_and_grey_or_alpha_is_a_picture(tmp_path: Path, shape: tuple[int, int]) -> None:
    grey = np.full(shape, 128, np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    if shape == (512, 512):
        cv2.imwrite(str(tmp_path / "alpha.png"), np.full((*shape, 4), 128, np.uint8))
        cv2.imwrite(str(tmp_path / "deep.png"), np.full((*shape, 3), 30000, np.uint16))
    done = detect(tmp_path, "--jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert all(line["faces"] == [] for line in lines(tmp_path / "out.jsonl"))


def test_a_face_at_the_very_edge_is_no_error(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    for number, cut in enumerate((portrait[60:, 190:], portrait[:150], portrait[100:, :260], portrait[:, 200:])):
        cv2.imwrite(str(tmp_path / f"{number}.png"), cut)
    done = detect(tmp_path, "--jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    for line in lines(tmp_path / "out.jsonl"):
        for face in line["faces"]:
            x1, y1, x2, y2 = face["box"]
            assert 0 <= x1 < x2 <= line["width"] and 0 <= y1 < y2 <= line["height"]


def test_what_is_no_picture_is_named_and_the_rest_is_done(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 1000)
    (tmp_path / "zero.avi").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "good.png"), portrait)
    done = detect(tmp_path, tmp_path / "missing.jpg", "--jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 2
    for name in ("empty.jpg", "text.jpg", "broken.mp4", "zero.avi", "missing.jpg"):
        assert f"{name}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert [line["file"] for line in lines(tmp_path / "out.jsonl")] == ["good.png"]


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    done = detect(tmp_path)
    assert done.returncode == 2
    assert "no images or videos" in done.stderr
