"""`edge-agent cameras` stays readable with a camera of hundreds of modes."""

from __future__ import annotations

import pytest

from edge_agent.camera import probe
from edge_agent.camera.devices import Mode, VideoDevice
from edge_agent.cli import main


def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *devices: VideoDevice) -> str:
    monkeypatch.setattr(probe, "list_cameras", lambda: list(devices))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["cameras"]) == 0
    return capsys.readouterr().out


def test_many_modes_are_grouped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    modes = tuple(
        Mode(fourcc, 160 * n, 120 * n, (float(30 // n), 5.0)) for fourcc in ("MJPG", "YUYV") for n in range(1, 20)
    )
    printed = show(monkeypatch, capsys, VideoDevice("/dev/video0", "Webcam", "usb-1", modes=modes))
    assert "MJPG: 3040×2280" in printed and "YUYV: " in printed
    assert len(printed.splitlines()) < 8


def test_what_cannot_be_used_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pi = VideoDevice("/dev/video0", "unicam", "platform", driver="unicam")
    closed = VideoDevice("/dev/video2", "Webcam", "usb-1", error="can't be opened: Permission denied")
    printed = show(monkeypatch, capsys, pi, closed)
    assert "picamera2" in printed
    assert "Permission denied" in printed


def test_no_camera_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "plugged in" in show(monkeypatch, capsys)
