"""Buzzers on a Jetson's pins through NVIDIA's Jetson.GPIO, which gpiozero does not know."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from edge_agent.config import BuzzerSettings
from edge_agent.outputs.buzzer.drivers import DriverError, LineDriver

_log = logging.getLogger(__name__)

_HINT = (
    "give buzzer.pin as the number on the board's header, let the user of the service into the group `gpio`, "
    "and on JetPack 6 set that pin to output with `sudo /opt/nvidia/jetson-io/jetson-io.py` first"
)


class JetsonBuzzer(LineDriver):
    """A buzzer on a pin in BOARD numbering; off once constructed. Raises DriverError.

    `gpio` is the module `Jetson.GPIO`.
    """

    name = "jetson"

    def __init__(self, settings: BuzzerSettings, gpio: Any) -> None:
        self._gpio = gpio
        self._pin = settings.pin
        self._on, self._off = (gpio.HIGH, gpio.LOW) if settings.active_high else (gpio.LOW, gpio.HIGH)
        self._pwm: Any = None
        self._closed = False
        try:
            gpio.setwarnings(False)
            gpio.setmode(gpio.BOARD)
            gpio.setup(self._pin, gpio.OUT, initial=self._off)
            if settings.kind == "passive":
                self._pwm = gpio.PWM(self._pin, settings.frequency)
        except Exception as error:  # Jetson.GPIO raises plain Exception, ValueError, RuntimeError and OSError
            with contextlib.suppress(Exception):
                gpio.cleanup(self._pin)
            hint = _HINT
            if settings.kind == "passive":
                hint += "; a passive buzzer needs a pin with PWM (on most boards 32 or 33)"
            raise DriverError(f"pin {self._pin} can't be used: {error}", hint) from error

    def on(self) -> None:
        """Make noise until `off()`. Raises DriverError."""
        try:
            if self._pwm is not None:
                self._pwm.start(50)
            else:
                self._gpio.output(self._pin, self._on)
        except Exception as error:  # see __init__
            raise DriverError(f"GPIO failed: {error}", _HINT) from error

    def off(self) -> None:
        """Be silent. Raises DriverError."""
        try:
            if self._pwm is not None:
                self._pwm.stop()
            else:
                self._gpio.output(self._pin, self._off)
        except Exception as error:  # see __init__
            raise DriverError(f"GPIO failed: {error}", _HINT) from error

    def close(self) -> None:
        """Be silent and let go of the pin."""
        if self._closed:
            return
        self._closed = True
        try:
            self.off()
        except DriverError as error:
            _log.warning("Buzzer could not be switched off at the end: %s", error)
        with contextlib.suppress(Exception):  # see __init__; there is nothing left to do about it
            self._gpio.cleanup(self._pin)


def open_jetson(settings: BuzzerSettings) -> JetsonBuzzer:
    """Claim the pin. Raises DriverError if the library or the pin can't be used."""
    try:
        from Jetson import GPIO
    except ImportError as error:
        raise DriverError(
            f"the Python package Jetson.GPIO can't be loaded: {error}",
            "run the installer again: `install.sh --extras +jetson`",
            lasting=True,
        ) from error
    except Exception as error:  # it looks for the board at import and raises a plain Exception elsewhere
        raise DriverError(
            f"Jetson.GPIO does not know this board: {error}", "set buzzer.driver", lasting=True
        ) from error
    return JetsonBuzzer(settings, GPIO)
