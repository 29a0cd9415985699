"""Real video files and folders of images, through OpenCV, the camera thread and the slot."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.cameras.scripted import wait_until
from edge_agent.camera.probe import probe
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.sources.files import ImageFolder
from edge_agent.camera.thread import CameraThread
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError
from edge_agent.types import Frame

COUNT, RATE = 24, 30


def shade(number: int) -> int:
    return 20 + number * 9


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip whose pictures can be told apart by their brightness."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (96, 64))
    assert writer.isOpened()
    for number in range(COUNT):
        writer.write(np.full((64, 96, 3), shade(number), np.uint8))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"picture{number}.png"), np.full((10 + number, 20, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def frames(settings: CameraSettings, limit: int = 10_000) -> tuple[list[Frame], CameraThread, FrameSlot]:
    """Run until the file ends, or `limit` frames were taken."""
    slot = FrameSlot(block=not settings.realtime)
    thread = CameraThread(settings, slot)
    thread.start()
    taken: list[Frame] = []
    deadline = time.monotonic() + 30
    while len(taken) < limit and not slot.closed and time.monotonic() < deadline:
        frame = slot.take(0.5)
        if frame is not None:
            taken.append(frame)
    if slot.closed:
        wait_until(lambda: thread.stats().state == "ended", 5)
    assert thread.stop(10)
    return taken, thread, slot


def numbers(taken: list[Frame]) -> list[int]:
    return [round((float(frame.image.mean()) - shade(0)) / 9) for frame in taken]


def test_as_fast_as_possible_every_picture_of_a_video_is_taken_once(video: Path) -> None:
    taken, thread, slot = frames(CameraSettings(source=str(video), realtime=False, loop=False))
    assert numbers(taken) == list(range(COUNT))
    assert [frame.index for frame in taken] == list(range(COUNT))
    assert slot.dropped == 0
    stats = thread.stats()
    assert (stats.state, stats.captured, stats.width, stats.height) == ("ended", COUNT, 96, 64)
    assert stats.failures == {}


def test_a_slow_taker_loses_no_picture_of_a_file_and_is_no_stall(video: Path) -> None:
    settings = CameraSettings(source=str(video), realtime=False, loop=False, stall_after=0.2, read_timeout=0.2)
    slot = FrameSlot(block=True)
    thread = CameraThread(settings, slot)
    thread.start()
    taken = []
    while (frame := slot.take(5)) is not None:
        taken.append(frame)
        if frame.index < 3:
            time.sleep(0.5)  # longer than the stall: it is the taker who is slow, not the camera
    assert thread.stop(5)
    assert numbers(taken) == list(range(COUNT))
    assert thread.stats().failures == {}


def test_at_its_own_pace_a_video_takes_its_time(video: Path) -> None:
    started = time.monotonic()
    taken, _, _ = frames(CameraSettings(source=str(video), realtime=True, loop=False))
    assert time.monotonic() - started >= (COUNT - 1) / RATE
    # Each at its own time: where this test was late, pictures are missing.
    starts = [frame.captured_at - number / RATE for frame, number in zip(taken, numbers(taken), strict=True)]
    assert max(starts) - min(starts) < 0.01
    assert numbers(taken)[-1] == COUNT - 1, "the last picture must still be taken before the slot closes"


def test_a_loop_begins_again_without_a_gap(video: Path) -> None:
    taken, thread, _ = frames(CameraSettings(source=str(video), realtime=False, loop=True), limit=3 * COUNT)
    assert numbers(taken) == list(range(COUNT)) * 3
    assert thread.stats().reopened == 0


def test_images_come_in_natural_order_each_in_its_size(folder: Path) -> None:
    taken, thread, _ = frames(CameraSettings(source=str(folder), realtime=False, loop=False))
    assert [int(frame.image[0, 0, 0]) for frame in taken] == [1, 2, 10]
    assert [frame.image.shape[0] for frame in taken] == [11, 12, 20]
    assert thread.stats().failures == {}, "images of different sizes are no fault"


def test_images_are_shown_at_the_rate_of_the_settings(folder: Path) -> None:
    taken, _, _ = frames(CameraSettings(source=str(folder), realtime=True, loop=True, fps=20), limit=7)
    # By their numbers, for where this test was late, pictures are missing.
    gaps = np.diff([frame.captured_at for frame in taken]) / np.diff([frame.index for frame in taken])
    assert float(np.median(gaps)) == pytest.approx(0.05, abs=0.01)


def test_a_broken_image_is_skipped_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "picture3.jpg").write_bytes(b"\xff\xd8 this is no JPEG")
    with caplog.at_level(logging.WARNING):
        taken, _, _ = frames(CameraSettings(source=str(folder), realtime=False, loop=False))
    assert [int(frame.image[0, 0, 0]) for frame in taken] == [1, 2, 10]
    assert "skipping" in caplog.text
    assert "picture3.jpg" in caplog.text


def test_an_image_whose_name_is_not_utf8_is_shown(folder: Path) -> None:
    (folder / "picture2.png").rename(Path(os.fsdecode(os.fsencode(folder) + b"/picture2\xff.png")))
    (folder / "picture3.png").write_bytes(b"")
    taken, _, _ = frames(CameraSettings(source=str(folder), realtime=False, loop=False))
    assert [int(frame.image[0, 0, 0]) for frame in taken] == [1, 2, 10]


def test_rotation_is_applied_to_every_frame(video: Path) -> None:
    taken, thread, _ = frames(CameraSettings(source=str(video), realtime=False, loop=False, rotate=90))
    assert {frame.image.shape for frame in taken} == {(96, 64, 3)}
    assert (thread.stats().width, thread.stats().height) == (64, 96)


def test_a_still_video_is_not_frozen(tmp_path: Path) -> None:
    path = tmp_path / "still.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (96, 64))
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    for _ in range(20):
        writer.write(picture)
    writer.release()
    settings = CameraSettings(source=str(path), realtime=True, loop=True, freeze_after=0.3)
    _, thread, _ = frames(settings, limit=20)
    assert thread.stats().state == "ok"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("gone.mp4", None, "no such video file"),
        ("broken.mp4", b"this is not a video", "not a video that OpenCV can read"),
        ("empty.mp4", b"", "not a video that OpenCV can read"),
    ],
)
def test_a_bad_video_says_what_to_do(tmp_path: Path, name: str, content: bytes | None, word: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = probe(CameraSettings(source=str(tmp_path / name)))
    assert not result.ok
    assert word in result.reason


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "no images in this folder" in probe(CameraSettings(source=str(tmp_path))).reason
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    assert "none of its 1 images can be decoded" in probe(CameraSettings(source=str(tmp_path))).reason


def test_a_video_that_comes_later_is_waited_for(video: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.avi"
    slot = FrameSlot()
    thread = CameraThread(CameraSettings(source=str(late), reopen_min=0.05, reopen_max=0.1), slot)
    thread.start()
    wait_until(lambda: thread.stats().state == "lost")
    late.write_bytes(video.read_bytes())
    assert slot.take(10) is not None
    assert thread.stop(5)


def test_probe_of_a_video_tells_its_size(video: Path) -> None:
    result = probe(CameraSettings(source=str(video)))
    assert (result.ok, result.width, result.height) == (True, 96, 64)


def test_a_folder_that_is_emptied_while_it_plays_is_an_error(folder: Path) -> None:
    source = ImageFolder(folder, CameraSettings(source=str(folder), realtime=False, loop=True, fps=100))
    source.open()
    assert source.read() is not None
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(CameraError, match="can be decoded"):
        while source.read() is not None:
            pass


def test_a_torn_picture_is_told_of_once_and_not_at_every_pass(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "picture3.png").write_bytes(b"torn")
    source = ImageFolder(folder, CameraSettings(source=str(folder), realtime=False, loop=True, fps=100))
    source.open()
    for _ in range(10):
        assert source.read() is not None
    assert caplog.text.count("skipping") == 1 and "picture3.png: not an image" in caplog.text


def test_at_full_speed_a_folder_that_was_gone_for_a_while_goes_on_in_time(tmp_path: Path) -> None:
    """Its time runs ahead of the clock, and people would be followed into the past."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 50 * number, np.uint8))
    settings = CameraSettings(
        source=str(folder), realtime=False, loop=True, fps=0.5, reopen_min=0.05, reopen_max=0.1
    )
    slot = FrameSlot(block=True)
    thread = CameraThread(settings, slot)
    thread.start()
    moments: list[float] = []

    def take(count: int) -> None:
        while count:
            frame = slot.take(5)
            assert frame is not None
            moments.append(frame.captured_at)
            count -= 1

    take(20)
    (folder / "0.png").rename(tmp_path / "0.png")
    for number in range(1, 4):
        (folder / f"{number}.png").write_bytes(b"torn")
    deadline = time.monotonic() + 20
    while thread.stats().state == "ok":
        frame = slot.take(0.05)
        if frame is not None:
            moments.append(frame.captured_at)
        assert time.monotonic() < deadline
    (tmp_path / "0.png").rename(folder / "0.png")
    take(5)
    thread.stop(5)
    assert moments[-1] - moments[0] > 40
    assert moments == sorted(moments)
