"""`edge-agent detect` on good pictures and on everything that is none."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from edge_agent.commands.demo import clip
from edge_agent.commands.detect import _inside, _is_video, _progress
from edge_agent.config import MaskSettings, Settings, VisionSettings
from edge_agent.detection import Detection


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


def test_no_original_is_overwritten(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.jpg"), portrait[:64, :64])
    film = photos / "film.mp4"
    film.write_bytes(clip().read_bytes())
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "hard").mkdir()
    (tmp_path / "hard" / "a.jpg").hardlink_to(photos / "a.jpg")
    before = {path: path.read_bytes() for path in photos.iterdir()}
    for arguments in (
        (photos, "--annotate", photos),
        (film, "--annotate", photos),
        (photos / "a.jpg", "--annotate", tmp_path / "link"),
        (photos / "a.jpg", "--annotate", tmp_path / "hard"),
        (photos / "a.jpg", "--jsonl", photos / "a.jpg"),
        (photos / "a.jpg", "--jsonl", tmp_path / "link" / "a.jpg"),
    ):
        done = detect(*arguments)
        assert done.returncode == 2
        assert "is one of the inputs" in done.stderr and "Traceback" not in done.stderr
        assert {path: path.read_bytes() for path in photos.iterdir()} == before


def test_annotated_pictures_of_one_name_do_not_collide(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    photos = tmp_path / "photos"
    (photos / "b").mkdir(parents=True)
    for name, size in (("x.jpg", 40), ("x.png", 50), ("b/x.jpg", 60)):
        cv2.imwrite(str(photos / name), portrait[:size, :size])
    cv2.imwrite(str(tmp_path / "x.jpg"), portrait[:70, :70])
    done = detect(photos, tmp_path / "x.jpg", "--jsonl", tmp_path / "o", "--annotate", tmp_path / "drawn")
    assert done.returncode == 0, done.stderr
    drawn = {path.relative_to(tmp_path / "drawn").as_posix(): path for path in (tmp_path / "drawn").rglob("*.jpg")}
    assert {name: len(cv2.imread(str(path))) for name, path in drawn.items()} == {
        "x.jpg": 40,
        "x-2.jpg": 50,
        "b/x.jpg": 60,
        "x-3.jpg": 70,
    }


def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    photos = Path(os.fsdecode(os.fsencode(tmp_path) + b"/photos\xfe"))
    photos.mkdir()
    bad = Path(os.fsdecode(b"bad\xff"))
    (photos / bad.with_suffix(".jpg")).write_bytes(cv2.imencode(".jpg", portrait[:64, :64])[1].tobytes())
    (photos / bad.with_suffix(".mp4")).write_bytes(clip().read_bytes())
    drawn = photos / "drawn"
    done = detect(photos, "--jsonl", tmp_path / "o", "--annotate", drawn)
    assert done.returncode == 0, done.stderr
    assert {line["file"] for line in lines(tmp_path / "o")} == {"bad\ufffd.jpg", "bad\ufffd.mp4"}
    assert {path.name for path in drawn.iterdir()} == {f"{bad}.jpg", f"{bad}.mp4"}
    assert all(path.stat().st_size for path in drawn.iterdir())
    assert {path.name for path in photos.iterdir()} == {f"{bad}.jpg", f"{bad}.mp4", "drawn"}


def test_a_film_whose_name_is_not_utf8_and_that_is_none_is_said(tmp_path: Path) -> None:
    film = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.mp4"))
    film.write_bytes(b"no film")
    done = detect(film)
    assert done.returncode == 2
    assert "neither an image nor a video" in done.stderr and "Traceback" not in done.stderr


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    progress = _progress()
    progress.add_task("x[/b].jpg")
    assert "x[/b].jpg" in str(progress.columns[0].render(progress.tasks[0]))


def test_annotated_pictures_inside_the_folder_are_no_inputs_of_the_next_run(
    tmp_path: Path, portrait: NDArray[np.uint8]
) -> None:
    photos, drawn = tmp_path / "photos", tmp_path / "photos" / "sub" / "drawn"
    (photos / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(photos)
    cv2.imwrite(str(photos / "a.jpg"), portrait[:64, :64])
    cv2.imwrite(str(photos / "sub" / "b.jpg"), portrait[:64, :64])
    before = (photos / "a.jpg").read_bytes()
    for folder in (photos, photos, tmp_path / "link"):
        done = detect(folder, "--jsonl", tmp_path / "o", "--annotate", drawn)
        assert done.returncode == 0, done.stderr
        assert [line["file"] for line in lines(tmp_path / "o")] == ["a.jpg", "b.jpg"]
        assert sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.jpg")) == ["a.jpg", "sub/b.jpg"]
    assert f"{drawn}: 2 files are left out, for --annotate writes there" in done.stderr
    assert (photos / "a.jpg").read_bytes() == before
    # given by name, it is an input as any other
    written = (drawn / "a.jpg").read_bytes()
    for named in (drawn / "a.jpg", drawn):
        done = detect(photos, named, "--jsonl", tmp_path / "o", "--annotate", drawn)
        assert done.returncode == 2 and "is one of the inputs" in done.stderr
        assert (drawn / "a.jpg").read_bytes() == written


def test_an_input_that_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    done = detect(tmp_path / f"{'x' * 300}.jpg")
    assert done.returncode == 2
    assert "can't be read: File name too long" in done.stderr and "Traceback" not in done.stderr


def test_what_cannot_be_written_is_said(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), portrait[:64, :64])
    (tmp_path / "drawn" / "a.jpg").mkdir(parents=True)
    (tmp_path / "drawn" / f"{clip().stem}.mp4").mkdir()
    done = detect(clip(), tmp_path / "a.png", "--jsonl", tmp_path / "o", "--annotate", tmp_path / "drawn")
    assert done.returncode == 2
    for name in (f"{clip().stem}.mp4", "a.jpg"):
        assert f"{name}: can't be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_it_with_a_message(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), portrait[:64, :64])
    done = detect(tmp_path, "--jsonl", "/dev/full")
    assert done.returncode == 2
    assert "edge-agent: --jsonl /dev/full: can't be written: No space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "edge_agent", "detect", str(tmp_path)]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert ended.returncode == 2
    assert "edge-agent: stdout: can't be written: No space left on device\n" in ended.stderr
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr


def test_a_reader_that_leaves_is_no_error_to_speak_of(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), portrait[:64, :64])
    command = f"{sys.executable} -m edge_agent detect {tmp_path} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr and "can't be written" not in done.stderr


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


def test_small_faces_are_judged_in_films_as_on_photos() -> None:
    settings = Settings(vision=VisionSettings(mask=MaskSettings(min_face=400)))
    assert any(result.line["faces"] for result in Detection(settings).video(clip()))


@pytest.mark.parametrize("name", ["film.ts", "film"])
def test_a_film_is_a_film_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    film = tmp_path / name
    film.write_bytes(clip().read_bytes())
    assert _is_video(film)
    assert next(Detection(Settings()).video(film)).video


def test_what_has_no_ending_is_told_apart_by_what_is_in_it(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    encoded = cv2.imencode(".png", portrait)[1].tobytes()
    (tmp_path / "photo").write_bytes(encoded)
    (tmp_path / "notes").write_text("neither")
    done = detect(tmp_path / "photo", tmp_path / "notes")
    assert done.returncode == 2
    assert json.loads(done.stdout)["file"] == "photo"
    assert "notes: neither an image nor a video" in done.stderr


def test_a_film_that_breaks_off_is_said_and_what_there_is_is_done(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.avi", tmp_path / "half.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = detect(whole, half, "--jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 0, "a trimmed film looks like that, too"
    assert "half.avi: " in done.stderr
    assert "of the 40 pictures it says it has" in done.stderr
    assert "whole.avi" not in done.stderr
    assert 40 < len(lines(tmp_path / "out.jsonl")) < 80


def test_a_folder_that_is_closed_is_said(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    (tmp_path / "photos/closed").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "photos/open.png"), portrait)
    complaints: list[str] = []

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return scandir(folder)

    scandir = os.scandir
    with pytest.MonkeyPatch.context() as patch:  # root, as whom tests may run, is refused nothing
        patch.setattr(os, "scandir", refuse)
        found = _inside(tmp_path / "photos", None, complaints)
    assert [path.name for path in found] == ["open.png"]
    assert len(complaints) == 1
    assert "closed: can't be read: Permission denied" in complaints[0]
