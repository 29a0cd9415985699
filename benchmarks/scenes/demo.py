"""Make the clip that `edge-agent demo` plays: bare faces, masked ones, and one worn under the nose."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import cv2

from benchmarks.scenes.cloth import wearing
from benchmarks.scenes.entrance import entrance
from benchmarks.scenes.film import Film, Light, draw
from benchmarks.scenes.portraits import Portrait, bundled_portraits, flipped, scaled
from benchmarks.scenes.visits import Side, Visit
from edge_agent.types import Verdict

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 15.0, 26.0


def demo_film() -> Film:
    """Who comes: alone and bare, masked, two at once of whom one is bare, and a mask under the nose.

    Raises:
        PortraitError: scikit-image or matplotlib is not installed.
    """
    people = {portrait.name: _larger(portrait) for portrait in bundled_portraits()}
    collins, hopper = people["collins"], people["hopper"]
    cast: dict[str, Portrait] = {
        "collins": collins,
        "hopper": flipped(hopper),
        "collins-masked": wearing(flipped(collins), Verdict.MASK, "surgical", 1),
        "hopper-masked": wearing(hopper, Verdict.MASK, "black", 2),
        "hopper-nose": wearing(hopper, Verdict.INCORRECT, "surgical", 3),
    }

    def visit(name: str, enters: float, stands: float, x: float, side: Side, face_height: float) -> Visit:
        worn = cast[name].worn
        return Visit(name, worn, enters, 1.5, stands, x, 0.42, face_height, side, side, phase=enters)

    visits = (
        visit("collins", 0.8, 3.0, 0.45, "left", 132),
        visit("hopper-masked", 6.2, 2.6, 0.52, "right", 138),
        visit("collins-masked", 11.0, 4.2, 0.27, "left", 126),
        visit("hopper", 11.8, 3.6, 0.74, "right", 134),
        visit("hopper-nose", 18.8, 3.4, 0.5, "left", 138),
    )
    light = Light(wave=0.05, period=9.0)
    return Film(entrance(WIDTH, HEIGHT, seed=5), cast, visits, SECONDS, FPS, light, noise=2.0, seed=1)


def write_clip(film: Film, path: Path, crf: int = 27) -> None:
    """Encode a film as H.264 with ffmpeg, which must be installed.

    Raises:
        FileNotFoundError: there is no ffmpeg.
        subprocess.CalledProcessError: ffmpeg refused; its message is on the terminal.
    """
    width, height = film.size
    # The same bytes for the same film: one thread, no date and no name of the encoder in the file.
    command = [
        "ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "bgr24",
        "-video_size", f"{width}x{height}", "-framerate", str(film.fps), "-i", "-", "-an", "-c:v", "libx264",
        "-threads", "1", "-preset", "veryslow", "-crf", str(crf), "-g", str(int(film.fps * 2)),
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-fflags", "+bitexact", str(path),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as frames:
        for image in draw(film):
            frames.write(image.tobytes())
        frames.seek(0)
        subprocess.run(command, stdin=frames, check=True)


def _larger(portrait: Portrait) -> Portrait:
    """A small portrait is enlarged first, so that what is painted on it has smooth edges."""
    return scaled(portrait, max(220 / portrait.box.height, 1.0))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="the clip to write, e.g. edge_agent/assets/demo.mp4")
    parser.add_argument("--crf", type=int, default=27, help="quality of the encoder: smaller is better")
    arguments = parser.parse_args()
    write_clip(demo_film(), arguments.output, arguments.crf)
    capture = cv2.VideoCapture(str(arguments.output))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB, {frames} frames")


if __name__ == "__main__":
    main()
