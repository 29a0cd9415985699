"""Real network cameras and pipelines, broken and mended: seen in time, and back again."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from benchmarks.camera_faults import SHORT
from benchmarks.cameras.faults import Fault, GStreamerRig, HttpRig, Rig, RtspRig, children, leftovers, try_fault
from benchmarks.cameras.scripted import wait_until
from benchmarks.cameras.servers import MjpegServer, RtspServer
from edge_agent.camera.probe import probe
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.sources import create
from edge_agent.camera.thread import CameraThread
from edge_agent.config import CameraSettings

CASES = [
    pytest.param(rig, fault, id=f"{rig.name}: {fault.name}")
    for rig in (HttpRig, RtspRig, GStreamerRig)
    for fault in rig.faults
]


@pytest.mark.parametrize(("rig", "fault"), CASES)
def test_a_real_camera_comes_back(rig: type[Rig], fault: Fault) -> None:
    missing = rig.missing()
    if missing is not None:
        pytest.skip(missing)
    outcome = try_fault(rig(SHORT), fault)
    assert outcome.seen is not None, f"never seen: {outcome}"
    assert outcome.seen <= outcome.bound, outcome
    assert outcome.back is not None, f"never back: {outcome}"
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("camera")])
    assert not children("gst-launch-1.0")


def test_reopening_leaks_neither_threads_nor_descriptors() -> None:
    server = MjpegServer()
    server.start()
    settings = SHORT.model_copy(update={"source": server.url, "reopen_min": 0.05, "reopen_max": 0.1})
    slot = FrameSlot()
    thread = CameraThread(settings, slot)
    thread.start()

    def cycle() -> None:
        captured = thread.stats().captured
        wait_until(lambda: thread.stats().captured > captured, 30)
        server.stop()
        wait_until(lambda: thread.stats().state == "lost", 30)
        server.start()
        captured = thread.stats().captured
        wait_until(lambda: thread.stats().captured > captured, 30)

    try:
        for _ in range(3):
            cycle()  # libraries make their pools at first use
        gc.collect()
        before = leftovers()
        for _ in range(8):
            cycle()
        gc.collect()
        # a connection of the latest cycle may still be going
        wait_until(lambda: all(now <= then + 1 for now, then in zip(leftovers(), before, strict=True)), 30)
        assert thread.stats().reopened >= 11
    finally:
        stopped = thread.stop(10)
        server.stop()
    assert stopped


def test_a_gstreamer_pipeline_gives_bgr_of_the_wanted_size_even_where_rows_are_padded() -> None:
    missing = GStreamerRig.missing()
    if missing is not None:
        pytest.skip(missing)
    # 322 pixels of three bytes are not a multiple of four: GStreamer pads each row.
    pipeline = "gstreamer:videotestsrc is-live=true pattern=blue ! video/x-raw,framerate=20/1 ! appsink drop=true"
    source = create(CameraSettings(source=pipeline, width=322, height=100))
    source.open()
    try:
        grab = source.read()
        assert grab is not None
        assert grab[0].shape == (100, 322, 3)
        blue, green, red = grab[0].reshape(-1, 3).mean(axis=0)
        assert blue > 240
        assert green < 10
        assert red < 10
    finally:
        source.close()


def test_a_gstreamer_pipeline_that_ends_or_is_wrong_says_why() -> None:
    missing = GStreamerRig.missing()
    if missing is not None:
        pytest.skip(missing)
    assert 'no element "nosuchthing"' in probe(CameraSettings(source="gstreamer:nosuchthing")).reason
    assert "pipeline can't be read" in probe(CameraSettings(source="gstreamer:videotestsrc pattern='ball")).reason


def test_a_gstreamer_pipeline_shows_no_password() -> None:
    missing = GStreamerRig.missing()
    if missing is not None:
        pytest.skip(missing)
    pipeline = "gstreamer:uridecodebin uri=http://owner:s3cret@127.0.0.1:9/x"
    result = probe(CameraSettings(source=pipeline, open_timeout=5))
    assert not result.ok
    assert result.reason
    assert "s3cret" not in repr(result)


def test_without_gstreamer_there_is_a_hint_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert "apt install gstreamer1.0-tools" in probe(CameraSettings(source="gstreamer:videotestsrc")).reason


def test_a_server_without_a_stream_is_told_from_a_server_that_is_not_there() -> None:
    server = MjpegServer()
    settings = CameraSettings(source=server.url, open_timeout=2, read_timeout=1)
    assert "Connection refused" in probe(settings).reason
    server.mode = "silent"
    server.start()
    try:
        assert "gives no stream" in probe(settings).reason
    finally:
        server.stop()


def test_a_wrong_path_of_an_rtsp_server_is_told() -> None:
    missing = RtspServer.missing()
    if missing is not None:
        pytest.skip(missing)
    server = RtspServer()
    server.start()
    try:
        good, bad = (probe(CameraSettings(source=url)) for url in (server.url, f"{server.url}-of-someone-else"))
        assert (good.ok, good.width, good.height) == (True, 320, 240)
        assert "check path, user name and password" in bad.reason
    finally:
        server.kill()


def test_probe_of_a_network_camera_tells_its_size() -> None:
    server = MjpegServer()
    server.start()
    try:
        result = probe(CameraSettings(source=server.url))
        assert (result.ok, result.width, result.height) == (True, 160, 120)
    finally:
        server.stop()
