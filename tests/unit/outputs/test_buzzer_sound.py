"""The loudspeaker: the pattern as sound, handed to a player that may be missing, fail or hang."""

from __future__ import annotations

import io
import shutil
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer import probe, sound
from edge_agent.outputs.buzzer.drivers import DriverError
from edge_agent.outputs.buzzer.sound import SAMPLE_RATE, SoundBuzzer, open_sound, render

PATTERN = Pattern(on=0.2, off=0.1, repeats=3)


def samples(wav: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(wav)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, SAMPLE_RATE)
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")


def player(tmp_path: Path, script: str) -> SoundBuzzer:
    """A buzzer whose player is a shell script that is called like aplay."""
    program = tmp_path / "aplay"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return SoundBuzzer(BuzzerSettings(driver="sound", sound_device="plughw:1"), str(program))


def test_pattern_has_its_beeps_and_pauses():
    heard = samples(render(PATTERN, 660))
    on, off = round(0.2 * SAMPLE_RATE), round(0.1 * SAMPLE_RATE)
    assert len(heard) == 3 * on + 2 * off
    for repeat in range(3):
        begin = repeat * (on + off)
        assert np.abs(heard[begin : begin + on]).max() > 20_000
        assert not heard[begin + on : begin + on + off].any()


@pytest.mark.parametrize("frequency", [220.0, 660.0, 880.0])
def test_tone_has_its_frequency_and_soft_edges(frequency):
    heard = samples(render(Pattern(on=1.0, off=0, repeats=1), frequency)).astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) == pytest.approx(frequency, abs=1)  # one second: a bin is one hertz
    assert abs(heard[0]) < 100
    assert abs(heard[-1]) < 100


def test_shortest_allowed_beep_is_rendered():
    assert len(samples(render(Pattern(on=0.0001, off=0, repeats=1), 220))) == 2


def test_player_gets_the_device_and_the_whole_sound(tmp_path):
    device = player(tmp_path, f'echo "$@" >"{tmp_path}/arguments"; cat >"{tmp_path}/heard.wav"')
    device.play(PATTERN, threading.Event())
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert arguments == "-q -t wav -D plughw:1 -\n"
    assert (tmp_path / "heard.wav").read_bytes() == render(PATTERN, 660)


def test_failing_player_says_why(tmp_path):
    device = player(tmp_path, "echo 'audio open error: No such device' >&2; exit 1")
    with pytest.raises(DriverError, match="No such device") as caught:
        device.play(PATTERN, threading.Event())
    assert "buzzer.sound_device" in caught.value.hint


def test_player_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "_GRACE_SECONDS", 0.1)
    device = player(tmp_path, "exec sleep 300")
    with pytest.raises(DriverError, match="hangs"):
        device.play(Pattern(on=0.05, off=0, repeats=1), threading.Event())


def test_halt_ends_the_player(tmp_path):
    device = player(tmp_path, f'echo $$ >"{tmp_path}/pid"; exec sleep 300')
    halt = threading.Event()
    thread = threading.Thread(target=device.play, args=(Pattern(on=10, off=0, repeats=50), halt))
    thread.start()
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    halt.set()
    thread.join(10)
    assert not thread.is_alive()


def test_player_that_can_not_be_run(tmp_path):
    device = SoundBuzzer(BuzzerSettings(), str(tmp_path / "gone"))
    with pytest.raises(DriverError, match="can't be run"):
        device.play(PATTERN, threading.Event())


def test_missing_player_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DriverError, match="aplay") as caught:
        open_sound(BuzzerSettings())
    assert "alsa-utils" in caught.value.hint
    found = probe(BuzzerSettings(driver="sound"))
    assert (found.ok, found.driver) == (False, "sound")


@pytest.mark.skipif(shutil.which("aplay") is None, reason="needs aplay (alsa-utils)")
class TestRealPlayer:
    """ALSA itself, with a card that writes to a file."""

    @pytest.fixture
    def heard(self, tmp_path, monkeypatch) -> Path:
        heard = tmp_path / "heard.raw"
        card = tmp_path / "alsa.conf"
        card.write_text(
            f'pcm.file {{ type file slave.pcm {{ type null }} file "{heard}" format "raw" }}\n', encoding="utf-8"
        )
        monkeypatch.setenv("ALSA_CONFIG_PATH", str(card))
        return heard

    def test_hears_the_pattern(self, heard):
        open_sound(BuzzerSettings(sound_device="file")).play(PATTERN, threading.Event())
        wanted = samples(render(PATTERN, 660))
        written = np.frombuffer(heard.read_bytes(), dtype="<i2")
        # ALSA fills its last period up with silence.
        assert np.array_equal(written[: len(wanted)], wanted)
        assert not written[len(wanted) :].any()

    def test_check_opens_the_device_without_a_sound(self, heard):
        found = probe(BuzzerSettings(driver="sound", sound_device="file"))
        assert (found.ok, found.hint) == (True, None)
        assert not np.frombuffer(heard.read_bytes(), dtype="<i2").any()

    @pytest.mark.usefixtures("heard")
    def test_check_names_a_device_that_is_not_there(self):
        found = probe(BuzzerSettings(driver="sound", sound_device="nosuch"))
        assert not found.ok
        assert "aplay -L" in found.hint
