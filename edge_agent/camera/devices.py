"""Cameras that Linux knows (V4L2): what is attached, what it can do, finding one again after it was unplugged."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import CameraError

# Request codes and layouts: <linux/videodev2.h>, part of the kernel's stable interface.
_QUERYCAP, _QUERYCAP_LAYOUT = 0x80685600, struct.Struct("16s32s32sIII12x")
_ENUM_FMT, _ENUM_FMT_LAYOUT = 0xC0405602, struct.Struct("III32s4s16x")
_ENUM_SIZES, _ENUM_SIZES_LAYOUT = 0xC02C564A, struct.Struct("I4sI6I8x")
_ENUM_RATES, _ENUM_RATES_LAYOUT = 0xC034564B, struct.Struct("I4sIII6I8x")
_BUFFER_CAPTURE = 1
_CAN_CAPTURE, _CAN_CAPTURE_PLANES, _HAS_DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_DISCRETE = 1

# The Pi's camera pipeline and its codecs show up as V4L2 nodes that deliver no pictures by themselves.
_PI_CAMERA_DRIVERS = frozenset({"unicam", "bcm2835-unicam", "rp1-cfe"})
_NOT_CAMERAS = frozenset({"bcm2835-codec", "bcm2835-isp", "bcm2835_isp", "pispbe", "rpivid", "rpi-hevc-dec"})


@dataclass(frozen=True, slots=True)
class Mode:
    """One picture size a camera offers."""

    fourcc: str
    width: int
    height: int
    rates: tuple[float, ...]
    """Pictures a second, fastest first; empty if the driver names none."""

    def __str__(self) -> str:
        rates = "/".join(f"{rate:g}" for rate in self.rates)
        return f"{self.fourcc} {self.width}×{self.height}" + (f" at {rates}" if rates else "")


Identity = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A V4L2 node that delivers pictures."""

    path: str
    name: str
    bus: str
    """Where it is plugged in, e.g. usb-0000:01:00.0-1.2."""
    function: str = ""
    """Which of the cameras at one plug it is, one for colour and one for infrared, say: of a USB device the
    interface, and the node's index in it, e.g. 1.0/0.
    """
    driver: str = ""
    by_id: str | None = None
    """Its path below /dev/v4l/by-id, which stays the same under another number."""
    modes: tuple[Mode, ...] = ()
    error: str | None = None
    """Why it could not be asked."""

    @property
    def plug(self) -> tuple[str, str]:
        """Its name and where it is plugged in, which several cameras may share."""
        return self.name, self.bus or self.path  # one that could not be asked has no bus

    @property
    def identity(self) -> Identity:
        """Its plug and which camera there it is: what tells it from its like, whatever its number."""
        return *self.plug, self.function

    @property
    def needs_picamera2(self) -> bool:
        """Whether this is a Raspberry Pi camera module, which OpenCV can't read."""
        return self.driver in _PI_CAMERA_DRIVERS


def list_devices(modes: bool = False, root: Path = Path("/")) -> list[VideoDevice]:
    """Return the capture devices in the order of their numbers; with `modes`, ask each for its sizes and rates."""
    links = _by_id(root)
    numbers = {node: node.name.removeprefix("video") for node in (root / "dev").glob("video[0-9]*")}
    nodes = [node for node in numbers if numbers[node].isdecimal()]  # a udev rule may link video0_entrance to one
    found = []
    for node in sorted(nodes, key=lambda node: int(numbers[node])):
        device = _ask(node, links.get(os.path.realpath(node)), modes, root)
        if device is not None:
            found.append(device)
    return found


def _by_id(root: Path) -> dict[str, str]:
    folder = root / "dev/v4l/by-id"
    if not folder.is_dir():
        return {}
    return {os.path.realpath(link): str(link) for link in sorted(folder.iterdir(), reverse=True)}


def _ask(node: Path, by_id: str | None, modes: bool, root: Path) -> VideoDevice | None:
    try:
        # Not blocking, and readable is enough: this must not disturb whoever is capturing.
        handle = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return None
        named = root / "sys/class/video4linux" / node.name / "name"
        name = named.read_text().strip() if named.is_file() else node.name
        return VideoDevice(str(node), name, "", by_id=by_id, error=f"can't be opened: {error.strerror}")
    try:
        answer = bytearray(_QUERYCAP_LAYOUT.size)
        fcntl.ioctl(handle, _QUERYCAP, answer)
        driver, card, bus, _, capabilities, own = _QUERYCAP_LAYOUT.unpack(answer)
        # Of a device with several nodes (picture, metadata) only device_caps tells what this one does.
        if not (own if capabilities & _HAS_DEVICE_CAPS else capabilities) & (_CAN_CAPTURE | _CAN_CAPTURE_PLANES):
            return None
        if _text(driver) in _NOT_CAMERAS:
            return None
        offered = tuple(_modes(handle)) if modes else ()
        return VideoDevice(
            str(node), _text(card), _text(bus), function_of(node, root), _text(driver), by_id, offered
        )
    except OSError:
        return None  # not a V4L2 device, or unplugged this moment
    finally:
        os.close(handle)


def function_of(node: Path, root: Path) -> str:
    """See `VideoDevice.function`; empty where sysfs says nothing.

    `device` links to the USB interface (1-1.2:1.0, say), `index` counts its nodes; udev makes stable names of both.
    """
    told = root / "sys/class/video4linux" / node.name
    try:
        index = (told / "index").read_text().strip()
    except OSError:
        return ""
    interface = os.path.realpath(told / "device").rpartition(":")[2].rpartition("/")[2]
    return f"{interface}/{index}"


def _modes(handle: int) -> Iterator[Mode]:
    for _, _, _, _, fourcc in _enumerate(handle, _ENUM_FMT, _ENUM_FMT_LAYOUT, (_BUFFER_CAPTURE, 0, b"", b"")):
        for size in _enumerate(handle, _ENUM_SIZES, _ENUM_SIZES_LAYOUT, (fourcc, 0, 0, 0, 0, 0, 0, 0)):
            # Of a range of sizes (min, max and step of the width, then of the height) the largest stands for it.
            width, height = (size[3], size[4]) if size[2] == _DISCRETE else (size[4], size[7])
            rates = set()
            blank = (fourcc, width, height, 0, 0, 0, 0, 0, 0, 0)
            for rate in _enumerate(handle, _ENUM_RATES, _ENUM_RATES_LAYOUT, blank):
                if rate[5]:  # an interval as a fraction of a second; of a range, the shortest
                    rates.add(round(rate[6] / rate[5], 2))
                if rate[4] != _DISCRETE:
                    break
            yield Mode(fourcc.decode("ascii", "replace"), width, height, tuple(sorted(rates, reverse=True)))
            if size[2] != _DISCRETE:
                break


def _enumerate(handle: int, request: int, layout: struct.Struct, blank: tuple[object, ...]) -> Iterator[tuple]:  # type: ignore[type-arg]  # struct.unpack gives plain tuples
    for index in range(256):
        data = bytearray(layout.pack(index, *blank))
        try:
            fcntl.ioctl(handle, request, data)
        except OSError:
            return  # EINVAL marks the end of the list; ENOTTY a driver without it
        yield layout.unpack(data)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _is_sibling(device: VideoDevice, remembered: VideoDevice) -> bool:
    """Whether it is the other camera at the same plug."""
    known = device.function and remembered.function and device.function != remembered.function
    return bool(known) and device.plug == remembered.plug


def find_device(
    source: int | str,
    devices: Sequence[VideoDevice],
    remembered: VideoDevice | None = None,
    beside: Collection[Identity] = (),
) -> VideoDevice:
    """Return the device that `source` means: a number, a path, or a name (whole or part, any case).

    `remembered` is the device that was in use before: it is taken under whatever number it came back, unless the
    source is a path below /dev/v4l, which follows the device by itself. `beside` are the identities of those that
    were attached while it was in use: none of them is it, however alike, and another program may be reading it.

    Raises:
        CameraError: it is not attached.
    """
    candidates = list(devices)
    stable_path = isinstance(source, str) and source.startswith("/dev/v4l/")
    if remembered is not None and not stable_path:
        same_plug = [device for device in devices if device.identity == remembered.identity]
        if same_plug:
            return same_plug[0]
        # Of another plug all cameras are another's, also one that was not seen in time; at the plug that was in use
        # one that is known to be its other camera.
        others = {(name, bus) for name, bus, _ in beside} - {remembered.plug}
        candidates = [
            device
            for device in devices
            if device.identity not in beside
            and device.plug not in others
            and not _is_sibling(device, remembered)
        ]
        moved = [device for device in candidates if device.name == remembered.name]
        if moved:
            return min(moved, key=lambda device: device.function != remembered.function)
    path = f"/dev/video{source}" if isinstance(source, int) else source
    if path.startswith("/dev/"):
        real = os.path.realpath(path)
        matches = [device for device in candidates if os.path.realpath(device.path) == real]
    else:
        wanted = path.casefold()
        matches = [device for device in candidates if device.name.casefold() == wanted]
        matches = matches or [device for device in candidates if wanted in device.name.casefold()]
    if matches:
        return matches[0]
    attached = ", ".join(f"{device.name} ({device.path})" for device in devices) or "none"
    if remembered is not None and len(candidates) < len(devices):
        attached += "; what was attached beside it is not taken for it"
    raise CameraError(f"camera {path} is not attached (attached: {attached}); plug it in or correct camera.source")
