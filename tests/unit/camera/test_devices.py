from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.camera import devices
from edge_agent.camera.devices import Mode, VideoDevice, find_device, list_devices
from edge_agent.errors import CameraError

DOOR = VideoDevice("/dev/video0", "HD Pro Webcam C920", "usb-0000:01:00.0-1.1")
YARD = VideoDevice("/dev/video2", "USB Camera", "usb-0000:01:00.0-1.2")


@pytest.mark.parametrize("request_code", ["_QUERYCAP", "_ENUM_FMT", "_ENUM_SIZES", "_ENUM_RATES"])
def test_each_layout_has_the_size_its_request_code_names(request_code: str) -> None:
    # Bits 16 to 29 of an ioctl's number hold the size of its argument.
    assert getattr(devices, f"{request_code}_LAYOUT").size == getattr(devices, request_code) >> 16 & 0x3FFF


@pytest.mark.parametrize("source", [0, "/dev/video0", "HD Pro Webcam C920", "hd pro webcam c920", "C920"], ids=str)
def test_a_camera_is_found_by_number_path_and_name(source: int | str) -> None:
    assert find_device(source, [YARD, DOOR]) is DOOR


def test_an_exact_name_goes_before_a_part_of_one() -> None:
    longer = VideoDevice("/dev/video4", "USB Camera Pro", "usb-1")
    assert find_device("USB Camera", [longer, YARD]) is YARD


def test_a_missing_camera_is_told_with_those_that_are_there() -> None:
    with pytest.raises(CameraError, match=r"Logitech is not attached \(attached: USB Camera \(/dev/video2\)\)"):
        find_device("Logitech", [YARD])
    with pytest.raises(CameraError, match="attached: none"):
        find_device(3, [])


def test_a_camera_is_found_again_under_another_number() -> None:
    back = VideoDevice("/dev/video1", DOOR.name, DOOR.bus)
    assert find_device(0, [back, YARD], remembered=DOOR) is back
    assert find_device("/dev/video0", [back, YARD], remembered=DOOR) is back


def test_a_camera_is_found_again_in_another_socket() -> None:
    moved = VideoDevice("/dev/video5", DOOR.name, "usb-0000:01:00.0-1.4")
    assert find_device(0, [YARD, moved], remembered=DOOR) is moved


def test_of_two_alike_the_one_in_the_same_socket_is_the_one() -> None:
    first = VideoDevice("/dev/video0", "USB Camera", "usb-1")
    second = VideoDevice("/dev/video1", "USB Camera", "usb-2")
    assert find_device(0, [first, second], remembered=VideoDevice("/dev/video0", "USB Camera", "usb-2")) is second


def test_of_two_cameras_at_one_plug_the_same_is_found_again() -> None:
    colour = VideoDevice("/dev/video0", "Integrated Camera", "usb-1", "1.0/0")
    infrared = VideoDevice("/dev/video2", "Integrated Camera", "usb-1", "1.2/0")
    swapped = [replace(infrared, path="/dev/video0"), replace(colour, path="/dev/video2")]
    elsewhere = [replace(device, bus="usb-2") for device in swapped]
    for now in (swapped, elsewhere):
        assert find_device(0, now, remembered=colour, beside={infrared.identity}) is now[1]
        assert find_device(2, now, remembered=infrared, beside={colour.identity}) is now[0]


def test_the_other_camera_of_a_plug_is_never_taken_for_it() -> None:
    colour = VideoDevice("/dev/video0", "Integrated Camera", "usb-1", "1.0/0")
    infrared = VideoDevice("/dev/video0", "Integrated Camera", "usb-1", "1.2/0")
    with pytest.raises(CameraError, match="not attached"):
        find_device(0, [infrared], remembered=colour)
    twins = replace(colour, bus="usb-2")
    late = replace(infrared, bus="usb-2")  # it had not registered yet when ours was opened
    with pytest.raises(CameraError, match="not attached"):
        find_device("Integrated Camera", [late], remembered=colour, beside={twins.identity})


@pytest.mark.parametrize(
    ("device", "function"),
    [
        ("devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.2/1-1.2:1.2", "1.2/0"),
        ("devices/platform/vivid.0", "vivid.0/0"),
        (None, ""),
    ],
)
def test_sysfs_tells_which_camera_of_a_plug_it_is(tmp_path: Path, device: str | None, function: str) -> None:
    if device is not None:
        (tmp_path / "sys" / device).mkdir(parents=True)
        node = tmp_path / "sys/class/video4linux/video3"
        node.mkdir(parents=True)
        (node / "device").symlink_to(tmp_path / "sys" / device)
        (node / "index").write_text("0\n")
    assert devices.function_of(Path("/dev/video3"), tmp_path) == function


@pytest.mark.parametrize("source", [0, 2, "USB Camera"], ids=str)
def test_a_twin_that_was_there_beside_it_is_not_taken_for_it(source: int | str) -> None:
    ours = VideoDevice("/dev/video0", "USB Camera", "usb-1")
    twin = VideoDevice("/dev/video2", "USB Camera", "usb-2")
    beside = {twin.identity}
    with pytest.raises(CameraError, match=r"not attached .*was attached beside it"):
        find_device(source, [twin], ours, beside)
    renumbered = VideoDevice("/dev/video0", "USB Camera", "usb-2")
    with pytest.raises(CameraError, match="not attached"):
        find_device(source, [renumbered], ours, beside)
    moved = VideoDevice("/dev/video5", "USB Camera", "usb-3")
    assert find_device(source, [twin, moved], ours, beside) is moved
    assert find_device(source, [twin, ours], ours, beside) is ours


def test_a_camera_that_could_not_be_asked_is_known_by_its_path() -> None:
    closed = VideoDevice("/dev/video2", "USB Camera", "", error="can't be opened: Permission denied")
    assert closed.identity != VideoDevice("/dev/video0", "USB Camera", "", error="so, too").identity


def test_a_replacement_of_another_make_is_taken_where_the_settings_point() -> None:
    assert find_device(2, [YARD], remembered=DOOR) is YARD


def test_a_stable_path_is_followed_and_not_outguessed(tmp_path: Path) -> None:
    alike = VideoDevice("/dev/video9", DOOR.name, DOOR.bus)
    with pytest.raises(CameraError, match="not attached"):
        find_device("/dev/v4l/by-id/usb-Logitech_C920_1234-video-index0", [alike], remembered=DOOR)


def test_a_mode_is_readable() -> None:
    assert str(Mode("MJPG", 1280, 720, (30.0, 7.5))) == "MJPG 1280×720 at 30/7.5"
    assert str(Mode("YUYV", 640, 480, ())) == "YUYV 640×480"


def test_files_that_are_no_cameras_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video0").write_text("not a device")
    assert list_devices(modes=True, root=tmp_path) == []
    assert list_devices(root=tmp_path / "nowhere") == []
