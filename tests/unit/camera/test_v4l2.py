"""The V4L2 source against a stand-in for OpenCV's capture; a real kernel's cameras are in tests/device."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.camera.devices import VideoDevice
from edge_agent.camera.sources import v4l2
from edge_agent.camera.sources.v4l2 import Memory, V4l2Camera
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError

CAMERA = VideoDevice("/dev/video0", "Webcam", "usb-1")
NAMES = {
    cv2.CAP_PROP_FOURCC: "fourcc",
    cv2.CAP_PROP_FRAME_WIDTH: "width",
    cv2.CAP_PROP_FRAME_HEIGHT: "height",
    cv2.CAP_PROP_FPS: "fps",
    cv2.CAP_PROP_BUFFERSIZE: "buffers",
    cv2.CAP_PROP_AUTO_EXPOSURE: "auto exposure",
    cv2.CAP_PROP_EXPOSURE: "exposure",
    cv2.CAP_PROP_CONVERT_RGB: "convert",
}


class FakeCapture:
    """Behaves as OpenCV does in front of a driver that offers `formats`."""

    formats: tuple[str, ...] = ("MJPG", "YUYV")
    opens = True
    shape = (480, 640, 3)
    jpeg = b""
    last: FakeCapture

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path, self.released = path, False
        self.values: dict[int, float] = {cv2.CAP_PROP_FOURCC: 0}
        self.order: list[str] = []
        FakeCapture.last = self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return self.opens

    def set(self, name: int, value: float) -> bool:
        self.order.append(NAMES[name])
        if name == cv2.CAP_PROP_FOURCC and int(value).to_bytes(4, "little").decode() not in self.formats:
            return False
        self.values[name] = value
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            return (time.monotonic() - 0.03) * 1000
        return self.values.get(name, 0)

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, Any]:
        if self.values.get(cv2.CAP_PROP_CONVERT_RGB, 1) == 0:
            return True, np.frombuffer(self.jpeg, np.uint8)[None]
        return True, np.zeros(self.shape, np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[VideoDevice]:
    """The cameras that are attached; a test may change the list."""
    devices = [CAMERA]
    monkeypatch.setattr(v4l2, "list_devices", lambda: devices)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.delenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", raising=False)
    return devices


def opened(settings: CameraSettings | None = None, memory: Memory | None = None) -> V4l2Camera:
    camera = V4l2Camera(0, settings or CameraSettings(), memory)
    camera.open()
    return camera


def test_the_format_is_chosen_before_size_and_rate(attached: list[VideoDevice]) -> None:
    opened()
    assert FakeCapture.last.order == ["fourcc", "width", "height", "fps", "buffers"]
    assert FakeCapture.last.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert FakeCapture.last.values[cv2.CAP_PROP_BUFFERSIZE] == 1


def test_without_mjpg_a_format_is_taken_that_opencv_decodes(
    attached: list[VideoDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCapture, "formats", ("YUYV",))
    assert "YUYV" in opened().describe()


def test_bytes_that_opencv_does_not_decode_are_no_picture(
    attached: list[VideoDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCapture, "shape", (1, 640 * 480 * 3, 3))
    with pytest.raises(CameraError, match=r"set camera\.fourcc"):
        opened().read()


def test_the_moment_is_the_drivers(attached: list[VideoDevice]) -> None:
    grab = opened().read()
    assert grab is not None
    assert 0.03 <= time.monotonic() - grab[1] < 1.0


@pytest.mark.parametrize(("exposure", "sets"), [(None, []), ("auto", [3]), (150, [1, 150])])
def test_exposure_is_left_alone_automatic_or_a_value(
    exposure: Any, sets: list[int], attached: list[VideoDevice]
) -> None:
    opened(CameraSettings(exposure=exposure))
    values = FakeCapture.last.values
    names = (cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE)
    assert [values[name] for name in names if name in values] == sets


def test_the_cameras_comeback_under_another_number_is_counted(attached: list[VideoDevice]) -> None:
    memory = Memory()
    opened(memory=memory).close()
    attached[:] = [replace(CAMERA, path="/dev/video1")]
    opened(memory=memory)
    assert FakeCapture.last.path == "/dev/video1"
    assert memory.moved == 1


def test_the_cameras_twin_is_left_to_whoever_reads_it(attached: list[VideoDevice]) -> None:
    twin = replace(CAMERA, path="/dev/video2", bus="usb-2")
    attached.append(twin)
    memory = Memory()
    opened(memory=memory).close()
    attached[:] = [twin]
    with pytest.raises(CameraError, match="not attached"):
        opened(memory=memory)
    attached[:] = [twin, replace(CAMERA, path="/dev/video3", bus="usb-3")]
    opened(memory=memory).close()
    assert (FakeCapture.last.path, memory.moved) == ("/dev/video3", 1)


def test_a_twin_that_was_away_for_a_while_is_still_known(attached: list[VideoDevice]) -> None:
    twin = replace(CAMERA, path="/dev/video2", bus="usb-2")
    attached.append(twin)
    memory = Memory()
    opened(memory=memory).close()
    attached[:] = [CAMERA]
    opened(memory=memory).close()
    attached[:] = [twin]
    with pytest.raises(CameraError, match="not attached"):
        opened(memory=memory)


def test_a_select_timeout_the_owner_chose_is_respected(
    attached: list[VideoDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "7")
    opened()
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == "7"
    monkeypatch.delenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT")
    opened(CameraSettings(read_timeout=1.2))
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == "2"  # whole seconds, never fewer


def test_what_keeps_a_camera_from_opening_is_told_with_a_remedy(
    attached: list[VideoDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCapture, "opens", False)
    with pytest.raises(CameraError, match="fuser -v /dev/video0"):
        opened()
    assert FakeCapture.last.released
    attached[:] = [replace(CAMERA, error="can't be opened: Permission denied")]
    with pytest.raises(CameraError, match="group video"):
        opened()
    attached[:] = [replace(CAMERA, driver="unicam")]
    with pytest.raises(CameraError, match=r"set camera\.source to picamera2"):
        opened()


def jpeg(height: int, width: int) -> bytes:
    """A picture that is blue on its left and red on its right, as a camera's JPEG."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = (255, 0, 0)
    picture[:, width // 2 :] = (0, 0, 255)
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.parametrize(
    ("size", "reduce", "shape"),
    [
        ((1280, 720), "auto", (360, 640, 3)),
        ((1920, 1080), "auto", (540, 960, 3)),
        ((2560, 1440), "auto", (360, 640, 3)),
        ((1280, 720), 4, (180, 320, 3)),
    ],
)
def test_large_jpegs_are_decoded_at_a_part_of_their_size(
    attached: list[VideoDevice],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    reduce: Any,
    shape: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(FakeCapture, "jpeg", jpeg(size[1], size[0]))
    camera = opened(CameraSettings(width=size[0], height=size[1], reduce=reduce))
    grab = camera.read()
    assert grab is not None
    assert grab[0].shape == shape
    assert grab[0][10, 10, 0] > 200 > 50 > grab[0][10, 10, 2]
    assert "decoded at 1/" in camera.describe()


@pytest.mark.parametrize(("size", "reduce", "formats"), [
    ((640, 480), "auto", ("MJPG",)), ((1280, 720), 1, ("MJPG",)), ((1280, 720), "auto", ("YUYV",)),
])  # fmt: skip
def test_small_pictures_and_other_formats_are_left_to_opencv(
    attached: list[VideoDevice],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    reduce: Any,
    formats: tuple[str, ...],
) -> None:
    monkeypatch.setattr(FakeCapture, "formats", formats)
    camera = opened(CameraSettings(width=size[0], height=size[1], reduce=reduce))
    assert "convert" not in FakeCapture.last.order
    assert camera.read() is not None


def test_a_broken_jpeg_is_an_empty_read(attached: list[VideoDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "jpeg", b"\xff\xd8 and then nothing")
    assert opened(CameraSettings(width=1280, height=720)).read() is None
