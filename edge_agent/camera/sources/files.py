"""Video files and folders of images, at their own pace or as fast as they are taken."""

from __future__ import annotations

import errno
import logging
import re
import stat
from pathlib import Path

import cv2

from edge_agent import films, photos
from edge_agent.camera.sources.base import EndOfStream, Grab, as_image
from edge_agent.camera.sources.pacing import Pacer
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError, InputError

_LONGEST_PAUSE = 1.0  # seconds between two pictures of a file, whatever its time stamps say

_log = logging.getLogger(__name__)


def mode_of(path: Path) -> int:
    """Return the kind and the permissions of a file or folder (`st_mode`), 0 if there is none.

    Raises:
        CameraError: it can't be told, for a folder on the way is closed or the name is too long.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no file can have this name
        return 0
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CameraError:
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "let the program's user read it and look into its folders (the service sees nothing below /home)"
    else:
        hint = "correct camera.source"
    return CameraError(f"{path}: can't be read: {error.strerror or error}; {hint}")


class VideoFile:
    """A video file through OpenCV's FFmpeg."""

    live = False

    def __init__(self, path: Path, settings: CameraSettings) -> None:
        self._path = path
        self._loop = settings.loop
        self._pacer = Pacer(settings.realtime)
        self._capture: cv2.VideoCapture | None = None
        self._position = 0.0
        self._stamp = 0.0
        self._fps = settings.fps
        self._interval = 1 / self._fps
        self._frames = 0

    def open(self) -> None:
        self.close()
        self._pacer.restart()
        self._position = 0.0
        self._begin()

    def _begin(self) -> None:
        if not stat.S_ISREG(mode_of(self._path)):
            raise CameraError(f"{self._path}: no such video file; correct camera.source")
        try:
            self._path.open("rb").close()  # OpenCV only says that it failed
        except OSError as error:
            raise _unreadable(self._path, error) from error
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            capture.release()
            raise CameraError(f"{self._path}: not a video that OpenCV can read; convert it to MP4 (H.264)")
        self._interval = 1 / films.rate(capture, self._fps)
        self._capture = capture
        self._stamp = 0.0
        self._frames = 0

    def read(self) -> Grab | None:
        if self._capture is None:
            return None
        ok, image = self._capture.read()
        if not ok:
            if self._frames == 0:
                raise CameraError(f"{self._path}: the video holds no picture that can be decoded")
            if not self._loop:
                raise EndOfStream
            self._close_capture()
            self._begin()
            self._position += self._interval
            ok, image = self._capture.read()
            if not ok:
                raise CameraError(f"{self._path}: the video can't be read again from its beginning")
        elif self._frames:
            # Its time stamps pace a file; where they are missing or go astray, its rate does.
            step = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - self._stamp
            self._position += min(step, _LONGEST_PAUSE) if step > 0 else self._interval
        self._stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._frames += 1
        return as_image(image), self._pacer.wait_for(self._position)

    def _close_capture(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def close(self) -> None:
        self._pacer.stop()
        self._close_capture()

    def interrupt(self) -> None:
        self._pacer.stop()

    def describe(self) -> str:
        return f"video file {self._path}"


class ImageFolder:
    """The images of a folder in natural order (2 before 10), `camera.fps` of them a second."""

    live = False

    def __init__(self, path: Path, settings: CameraSettings) -> None:
        self._path = path
        self._loop = settings.loop
        self._interval = 1 / settings.fps
        self._pacer = Pacer(settings.realtime)
        self._files: list[Path] = []
        self._next = 0
        self._shown = 0
        self._readable = False
        self._skipped: set[Path] = set()

    def open(self) -> None:
        self._pacer.restart()
        try:
            files = [file for file in self._path.iterdir() if file.suffix.lower() in photos.SUFFIXES]
        except OSError as error:
            raise _unreadable(self._path, error) from error
        if not files:
            raise CameraError(f"{self._path}: no images in this folder ({', '.join(sorted(photos.SUFFIXES))})")
        self._files = sorted(files, key=_natural)
        self._next = self._shown = 0
        self._readable = False

    def read(self) -> Grab | None:
        while self._files:
            if self._next == len(self._files):
                if not self._readable:
                    raise CameraError(f"{self._path}: none of its {len(self._files)} images can be decoded")
                if not self._loop:
                    raise EndOfStream
                self._next = 0
                self._readable = False  # once is not for ever: the folder may have been emptied
            file = self._files[self._next]
            self._next += 1
            try:
                image = photos.read(file)
            except InputError as error:
                if file not in self._skipped:
                    _log.warning("skipping %s", error)
                self._skipped.add(file)
                continue
            self._readable = True
            moment = self._pacer.wait_for(self._shown * self._interval)
            self._shown += 1
            return as_image(image), moment
        return None

    def close(self) -> None:
        self._pacer.stop()
        self._files = []

    def interrupt(self) -> None:
        self._pacer.stop()

    def describe(self) -> str:
        return f"images of {self._path}"


def _natural(path: Path) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name) if part]
