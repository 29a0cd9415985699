"""The alarm through a loudspeaker: the whole pattern as one sound, played by ALSA's `aplay`."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import time
import wave
from threading import Event

import numpy as np

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer.drivers import DriverError

SAMPLE_RATE = 16_000
_LOUDNESS = 0.8
_FADE_SECONDS = 0.005  # an abrupt edge clicks
_GRACE_SECONDS = 3.0  # for aplay to open the device and to drain it
_HINT = (
    "see `aplay -L` for the names of the devices and set buzzer.sound_device; "
    "the service's user must be in the group `audio`"
)


class SoundBuzzer:
    """Plays patterns on an ALSA device; nothing is held open between two of them."""

    name = "sound"

    def __init__(self, settings: BuzzerSettings, aplay: str) -> None:
        self._frequency = settings.frequency
        self._command = [aplay, "-q", "-t", "wav", "-D", settings.sound_device, "-"]

    def play(self, pattern: Pattern, halt: Event) -> None:
        """Sound the pattern (see `Driver.play`). Raises DriverError if aplay fails or hangs."""
        self._play(render(pattern, self._frequency), halt)

    def try_out(self) -> None:
        """Play a moment of silence, to see whether the device can be opened. Raises DriverError."""
        self._play(render(Pattern(on=0.05, off=0.0, repeats=1), self._frequency, loudness=0.0), Event())

    def close(self) -> None:
        """Nothing to let go of: `play` ends its own child process."""

    def _play(self, sound: bytes, halt: Event) -> None:
        deadline = time.monotonic() + len(sound) / (2 * SAMPLE_RATE) + _GRACE_SECONDS
        # A file in memory instead of a pipe: a player that hangs can't block the writer.
        with os.fdopen(os.memfd_create("alarm.wav"), "w+b") as stdin:
            stdin.write(sound)
            stdin.seek(0)
            try:
                player = subprocess.Popen(
                    self._command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
            except OSError as error:
                raise DriverError(f"aplay can't be run: {error}", _HINT) from error
        with player:
            try:
                while player.poll() is None:
                    if halt.wait(0.02):
                        return
                    if time.monotonic() > deadline:
                        raise DriverError("aplay hangs", _HINT)
            finally:
                if player.poll() is None:
                    player.kill()
            complaint = player.stderr.read().decode(errors="replace").strip() if player.stderr else ""
        if player.returncode != 0:
            reason = complaint.splitlines()[-1] if complaint else f"exit status {player.returncode}"
            raise DriverError(f"aplay failed: {reason}", _HINT)


def render(pattern: Pattern, frequency: float, *, loudness: float = _LOUDNESS) -> bytes:
    """A WAV file of the pattern: 16 bit mono at SAMPLE_RATE, a sine of `frequency` Hz with soft edges."""
    count = round(pattern.on * SAMPLE_RATE)
    tone = np.sin(2 * np.pi * frequency * np.arange(count) / SAMPLE_RATE) * loudness
    fade = min(round(_FADE_SECONDS * SAMPLE_RATE), count // 2)
    if fade:
        edge = np.linspace(0.0, 1.0, fade)
        tone[:fade] *= edge
        tone[-fade:] *= edge[::-1]
    beep = (tone * np.iinfo(np.int16).max).astype("<i2").tobytes()
    silence = bytes(2 * round(pattern.off * SAMPLE_RATE))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(silence.join([beep] * pattern.repeats))
    return file.getvalue()


def open_sound(settings: BuzzerSettings) -> SoundBuzzer:
    """Find aplay; the device itself is opened for each pattern. Raises DriverError."""
    aplay = shutil.which("aplay")
    if aplay is None:
        raise DriverError("the program aplay is missing", "install it: `apt install alsa-utils`")
    return SoundBuzzer(settings, aplay)
