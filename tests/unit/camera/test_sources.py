from __future__ import annotations

import itertools
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.camera.probe import probe
from edge_agent.camera.sources import can_wait, create
from edge_agent.camera.sources.base import StalledError, as_image
from edge_agent.camera.sources.capture import Capture
from edge_agent.camera.sources.files import VideoFile
from edge_agent.camera.sources.network import printable
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (0, "V4l2Camera"),
        ("0", "V4l2Camera"),
        ("/dev/video2", "V4l2Camera"),
        ("/dev/v4l/by-id/usb-x-video-index0", "V4l2Camera"),
        ("HD Pro Webcam C920", "V4l2Camera"),
        ("USB2.0 PC CAMERA", "V4l2Camera"),
        ("clip.mp4", "VideoFile"),
        ("rtsp://10.0.0.4/stream1", "NetworkCamera"),
        ("RTSP://10.0.0.4/stream1", "NetworkCamera"),
        ("http://10.0.0.4/mjpg", "NetworkCamera"),
        ("picamera2", "PiCamera"),
        ("picamera2:1", "PiCamera"),
        ("gstreamer:nvarguscamerasrc", "GStreamerPipeline"),
        ("test", "TestPattern"),
        ("clip.mp4", "VideoFile"),
        ("/mnt/disk-mounted-later/clip", "VideoFile"),
    ],
)
def test_the_words_of_the_settings_choose_the_kind(source: int | str, kind: str) -> None:
    assert type(create(CameraSettings(source=source))).__name__ == kind


def test_a_folder_is_a_folder_of_images(tmp_path: Path) -> None:
    assert type(create(CameraSettings(source=str(tmp_path)))).__name__ == "ImageFolder"


def test_words_that_mean_nothing_are_refused_with_a_hint() -> None:
    with pytest.raises(CameraError, match="picamera2:1"):
        create(CameraSettings(source="picamera2:front"))


def test_what_may_not_be_read_is_told_with_a_hint(closed: Path) -> None:
    settings = CameraSettings(source=str(closed / "clip.mp4"))
    with pytest.raises(CameraError, match=r"clip\.mp4: can't be read: Permission denied.*/home"):
        create(settings)
    assert "can't be read" in probe(settings).reason
    assert not can_wait(settings)


@pytest.mark.parametrize("source", ["~no-such-user/clip.mp4", f"{'x' * 300}.mp4", f"/{'x' * 300}/clip"])
def test_a_path_that_leads_nowhere_is_told_with_a_hint(source: str) -> None:
    with pytest.raises(CameraError, match=r"can't be read: .*camera\.source"):
        create(CameraSettings(source=source))
    assert "can't be read" in probe(CameraSettings(source=source)).reason
    assert not can_wait(CameraSettings(source=source))


@pytest.mark.parametrize("source", ["HD Pro Webcam C920", "W" * 300])
def test_the_name_of_a_camera_needs_no_readable_folder(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", stat)
    assert type(create(CameraSettings(source=source))).__name__ == "V4l2Camera"


def test_a_video_that_is_closed_later_is_told_when_it_is_opened(closed: Path) -> None:
    with pytest.raises(CameraError, match=r"clip\.mp4: can't be read: Permission denied"):
        VideoFile(closed / "clip.mp4", CameraSettings()).open()


def test_a_video_that_may_not_be_opened_is_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "clip.mp4").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CameraError, match=r"clip\.mp4: can't be read: Permission denied"):
        VideoFile(tmp_path / "clip.mp4", CameraSettings()).open()


def test_whatever_goes_wrong_with_a_source_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: CameraSettings) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("edge_agent.camera.probe.create", broken)
    result = probe(CameraSettings(source="rtsp://owner:s3cret@10.0.0.4/live"))
    assert (result.ok, result.source, result.reason) == (False, "rtsp://10.0.0.4", "RuntimeError: a bug")


def test_no_password_is_ever_shown(caplog: pytest.LogCaptureFixture) -> None:
    url = "rtsp://owner:s3cret@127.0.0.1:9/live?token=s3cret"
    assert printable(url) == "rtsp://127.0.0.1:9"
    result = probe(CameraSettings(source=url, open_timeout=1, read_timeout=1))
    assert not result.ok
    assert result.reason
    assert "s3cret" not in repr(result) + caplog.text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://admin:hun/ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:hun#ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:hun?ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:hun@ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:x@hun/ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:hun[ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://admin:hun]ter2@127.0.0.1:9/s", "rtsp://127.0.0.1:9"),
        ("rtsp://127.0.0.1:9/user=admin&password=hunter2&channel=1", "rtsp://127.0.0.1:9"),
        ("rtsp://127.0.0.1:9?user=admin&password=hunter2", "rtsp://127.0.0.1:9"),
        ("rtsp://[::1]:9/hunter2", "rtsp://[::1]:9"),
        # of which part the sign @ is can't be told
        ("rtsp://127.0.0.1:9/user=admin&password=x@hunter2/1", "rtsp://…"),
        ("rtsp://admin:9/x@hunter2", "rtsp://…"),
        ("rtsp://admin:hunter2/s", "rtsp://…"),
        ("rtsp://admin:hunter2", "rtsp://…"),
        ("rtsp:/admin:hunter2@127.0.0.1:9/s", "rtsp:/127.0.0.1:9"),
        ("RTSP:/admin:hun/ter2@127.0.0.1:9/s.mp4", "RTSP:/127.0.0.1:9"),
        ("http:/127.0.0.1:9/user=admin&password=hunter2", "http:/127.0.0.1:9"),
        ("rtsp:/admin:hunter2", "rtsp:/…"),
        (f"rtsp:/admin:hunter2{'x' * 300}@127.0.0.1:9/s", "rtsp:/127.0.0.1:9"),
        ("gstreamer:rtspsrc user-pw=hunter2 location=rtsp://127.0.0.1:9", "gstreamer:…"),
    ],
)
def test_no_part_of_a_password_is_shown_however_it_is_written(
    source: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert printable(source) == shown
    result = probe(CameraSettings(source=source, open_timeout=0.5, read_timeout=0.5))
    assert not result.ok and result.reason
    said = repr(result) + caplog.text
    assert not [part for part in ("hun", "ter2") if part in said], said


def test_an_address_with_one_slash_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CameraSettings(source="rtsp:/cam/clip.mp4")
    with pytest.raises(CameraError, match="rtsp:/cam is no file, and an address begins with rtsp://"):
        create(settings)
    assert not can_wait(settings)
    monkeypatch.chdir(tmp_path)
    Path("rtsp:/cam").mkdir(parents=True)
    Path("rtsp:/cam/clip.mp4").touch()
    assert type(create(settings)).__name__ == "VideoFile"
    assert type(create(CameraSettings(source="rtsp:/cam"))).__name__ == "ImageFolder"


@pytest.mark.parametrize("address", ["rtsp://admin:hunter2@10.0.0.5/s", "rtsp:/admin:hunter2@10.0.0.5/s"])
def test_no_password_in_the_words_of_gstreamer_is_shown(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = tmp_path / "gst-launch-1.0"
    launch.write_text(f"#!/bin/sh\necho 'ERROR: could not set location to \"{address}\"' >&2\nexit 1\n")
    launch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reason = probe(CameraSettings(source=f"gstreamer:rtspsrc location={address}")).reason
    assert "could not set location" in reason and "10.0.0.5" in reason and "hunter2" not in reason


@pytest.mark.parametrize("source", ["rtsp://admin:hun[ter2@10.0.0.5/s", "http://admin:hun]ter2@[10.0.0.5/s"])
def test_an_address_that_cannot_be_split_is_explained(source: str) -> None:
    with pytest.raises(CameraError, match="%XX") as raised:
        create(CameraSettings(source=source))
    assert raised.value.__cause__ is None and "hun" not in str(raised.value)
    assert "%XX" in probe(CameraSettings(source=source)).reason
    assert not can_wait(CameraSettings(source=source))


def test_a_name_that_no_resolver_takes_is_explained() -> None:
    assert "can't be read" in probe(CameraSettings(source=f"rtsp://{'a' * 70}.example/s")).reason


def test_an_address_that_makes_no_sense_is_explained() -> None:
    assert "correct camera.source" in probe(CameraSettings(source="rtsp://host:notaport/x")).reason
    assert "names no host" in probe(CameraSettings(source="rtsp:///x")).reason


@pytest.mark.parametrize(
    ("pixels", "first"),
    [
        (np.full((2, 2), 7, np.uint8), [7, 7, 7]),
        (np.full((2, 2, 1), 7, np.uint8), [7, 7, 7]),
        (np.full((2, 2, 4), (1, 2, 3, 4), np.uint8), [1, 2, 3]),
        (np.full((2, 2, 3), (1, 2, 3), np.uint8), [1, 2, 3]),
    ],
)
def test_grey_and_bgra_become_bgr(pixels: Any, first: list[int]) -> None:
    image = as_image(pixels)
    assert image.shape == (2, 2, 3)
    assert image[0, 0].tolist() == first


@pytest.mark.parametrize("pixels", [None, np.zeros((0, 0, 3), np.uint8), np.zeros((2, 2, 3), np.float32)])
def test_what_is_no_picture_is_refused(pixels: object) -> None:
    with pytest.raises(CameraError, match="no picture"):
        as_image(pixels)


def test_the_test_pattern_moves_and_keeps_its_pace() -> None:
    source = create(CameraSettings(source="test", width=320, height=240, fps=50))
    source.open()
    grabs = [grab for _ in range(6) if (grab := source.read()) is not None]
    source.close()
    assert all(image.shape == (240, 320, 3) and image.dtype == np.uint8 for image, _ in grabs)
    assert all(not np.array_equal(one[0], two[0]) for one, two in itertools.pairwise(grabs))
    assert grabs[-1][1] - grabs[0][1] == pytest.approx(0.1, abs=0.01)


class FakeRequest:
    """What picamera2 hands out: must be released, else the camera stops."""

    def __init__(self, camera: FakePicamera2) -> None:
        self._camera = camera

    def make_array(self, name: str) -> np.ndarray[Any, Any]:
        assert name == "main"
        width, height = self._camera.config["main"]["size"]
        return np.full((height, width, 3), 9, np.uint8)

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 40_000_000}

    def release(self) -> None:
        self._camera.released += 1


class FakePicamera2:
    """The part of picamera2's interface that is used, as its manual describes it."""

    last: FakePicamera2
    stalled = False

    def __init__(self, number: int) -> None:
        self.number, self.released, self.closed = number, 0, False
        FakePicamera2.last = self

    @staticmethod
    def global_camera_info() -> list[dict[str, str]]:
        return [{"Model": "imx708"}]

    def create_video_configuration(self, **config: Any) -> dict[str, Any]:
        return config

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def start(self) -> None:
        self.started = True

    def capture_request(self, wait: float) -> FakeRequest:
        if self.stalled:
            raise TimeoutError
        return FakeRequest(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    module = types.ModuleType("picamera2")
    module.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return FakePicamera2


def test_a_pi_camera_gives_bgr_with_the_moment_of_its_exposure(picamera2: type[FakePicamera2]) -> None:
    source = create(CameraSettings(source="picamera2", width=64, height=48, exposure=5000))
    source.open()
    grab = source.read()
    assert grab is not None
    image, moment = grab
    assert image.shape == (48, 64, 3)
    assert 0.03 < time.monotonic() - moment < 1.0
    assert picamera2.last.config["main"] == {"format": "RGB888", "size": (64, 48)}
    assert picamera2.last.config["controls"] == {"FrameRate": 15, "AeEnable": False, "ExposureTime": 5000}
    assert picamera2.last.released == 1
    source.close()
    assert picamera2.last.closed


def test_a_pi_camera_that_stalls_is_to_be_opened_again(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "stalled", True)
    source = create(CameraSettings(source="picamera2"))
    source.open()
    with pytest.raises(StalledError, match="no picture in 2 s"):
        source.read()
    source.close()


def test_a_pi_camera_that_is_not_attached_is_told(picamera2: type[FakePicamera2]) -> None:
    assert "ribbon cable" in probe(CameraSettings(source="picamera2:1")).reason


def test_without_picamera2_there_is_a_hint_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert "apt install python3-picamera2" in probe(CameraSettings(source="picamera2")).reason


def test_probe_of_a_camera_that_is_not_there_says_what_to_do() -> None:
    result = probe(CameraSettings(source="/dev/video77"))
    assert not result.ok
    assert "plug it in or correct camera.source" in result.reason


def test_probe_tells_the_size_after_rotation() -> None:
    result = probe(CameraSettings(source="test", width=320, height=240, rotate=90))
    assert (result.ok, result.width, result.height, result.reason) == (True, 240, 320, "")


class Stream:
    """A stream that is fetched in `seconds` a picture, after `pile` that lie waiting; by a clock of its own."""

    def __init__(self, seconds: float, pile: int = 0) -> None:
        self.seconds, self.pile, self.grabbed, self.now = seconds, pile, 0, 0.0

    def grab(self) -> bool:
        self.grabbed += 1
        if self.grabbed > self.pile:
            self.now += self.seconds
        return True


def test_only_what_piled_up_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera of 15 pictures a second of which one in five seconds is wanted piles nothing up by that."""

    def drained(stream: Stream, fps: float) -> int:
        with monkeypatch.context() as patch:
            clock = types.SimpleNamespace(monotonic=lambda: stream.now)
            patch.setattr("edge_agent.camera.sources.capture.time", clock)
            Capture(stream, fps, lambda _, arrived: arrived).drain()  # type: ignore[arg-type]
        return stream.grabbed

    assert drained(Stream(1 / 15), 0.2) == 1
    assert drained(Stream(1 / 15, pile=30), 15) == 31
    assert drained(Stream(0.001), 15) == pytest.approx(1000, abs=2), "a second is enough, whatever still comes"


@pytest.mark.parametrize(
    "source",
    ["admin:hunter2@10.0.0.5/s", "rtsp//admin:hunter2@10.0.0.5/s", "rtsp:admin:hunter2@10.0.0.5",
     ":hunter2@10.0.0.5", "admin:hunter2/3@10.0.0.5/s", "admin:1 hunter2@10.0.0.5/s",
     "10.0.0.5:554/user=admin&password=hunter2", "10.0.0.5/user=admin_password=hunter2_channel=1.sdp"],
)  # fmt: skip
def test_a_password_without_its_scheme_is_not_shown(source: str) -> None:
    assert "hunter2" not in printable(source)
    with pytest.raises(CameraError, match="an address begins with rtsp://") as caught:
        create(CameraSettings(source=source))
    assert "hunter2" not in str(caught.value)


def test_a_camera_that_fails_while_it_is_closed_hides_no_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        live = True

        def open(self) -> None:
            raise CameraError("no such camera")

        def close(self) -> None:
            raise RuntimeError("closing what was never open")

        def describe(self) -> str:
            return "a camera"

    monkeypatch.setattr("edge_agent.camera.probe.create", lambda _settings: Broken())
    assert probe(CameraSettings()).reason == "no such camera"
