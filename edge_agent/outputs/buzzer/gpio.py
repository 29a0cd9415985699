"""Buzzers on a Raspberry Pi's pins through gpiozero, and the same on its mock pins."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import gpiozero
from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge_agent.config import BuzzerSettings
from edge_agent.outputs.buzzer.drivers import DriverError, LineDriver

_log = logging.getLogger(__name__)


class GpiozeroBuzzer(LineDriver):
    """An active or passive buzzer on a pin of the given gpiozero pin factory; off once constructed.

    Raises DriverError if the pin does not exist or can't be claimed.
    """

    def __init__(
        self, name: str, settings: BuzzerSettings, factory: Any, errors: tuple[type[Exception], ...]
    ) -> None:
        self.name = name
        self._factory = factory
        self._errors = (gpiozero.GPIOZeroError, OSError, *errors)
        self._tone = gpiozero.tones.Tone.from_frequency(settings.frequency) if _tonal(settings) else None
        try:
            self._device = _device(settings, factory)
        except self._errors as error:
            factory.close()
            raise DriverError(
                f"GPIO {settings.pin} can't be used: {_text(error)}",
                "check buzzer.pin (BCM number) and that nobody else holds it: `gpioinfo` tells; "
                "a running edge-agent service does",
            ) from error

    def on(self) -> None:
        """Make noise until `off()`. Raises DriverError."""
        with self._wrapped():
            if self._tone is not None:
                self._device.play(self._tone)
            elif isinstance(self._device, gpiozero.PWMOutputDevice):
                self._device.value = 0.5
            else:
                self._device.on()

    def off(self) -> None:
        """Be silent. Raises DriverError."""
        with self._wrapped():
            if self._tone is not None:
                self._device.stop()
            else:
                self._device.off()

    def close(self) -> None:
        """Off first: closing alone only makes the line an input, which may leave a module on."""
        try:
            if not self._device.closed:
                self.off()
        except DriverError as error:
            _log.warning("Buzzer could not be switched off at the end: %s", error)
        with contextlib.suppress(*self._errors):
            self._device.close()
            self._factory.close()

    @contextlib.contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise DriverError(f"GPIO failed: {_text(error)}", "check the wiring and `edge-agent check`") from error


def open_gpio(settings: BuzzerSettings) -> GpiozeroBuzzer:
    """Claim the pin through lgpio, the only pin factory tried.

    gpiozero's own choice tries four factories and warns about each (https://gpiozero.readthedocs.io,
    "Changing the pin factory"). Raises DriverError.
    """
    try:
        with _private_working_directory():
            import lgpio
            from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise DriverError(
            f"the Python package lgpio can't be loaded: {error}",
            "run the installer again (install.sh --extras +pi); from Python 3.13 on before it "
            "`sudo apt install python3-lgpio`",
            lasting=True,
        ) from error
    except OSError as error:
        raise DriverError(f"lgpio can't start: {error}", "let the service write to its temporary folder") from error
    errors = (lgpio.error,)
    try:
        factory = LGPIOFactory()
    except (*errors, gpiozero.GPIOZeroError, OSError) as error:
        raise DriverError(
            f"the GPIO chip can't be opened: {_text(error)}",
            "let the user of the service into the group `gpio`; on other boards set buzzer.driver",
        ) from error
    return GpiozeroBuzzer("gpio", settings, factory, errors)


def open_simulated(settings: BuzzerSettings) -> GpiozeroBuzzer:
    """The same on a pin of gpiozero's mock factory: no hardware, no noise. Raises DriverError."""
    return GpiozeroBuzzer("simulated", settings, MockFactory(pin_class=MockPWMPin), ())


def _text(error: Exception) -> str:
    return str(error).strip("'")  # lgpio's errors print themselves in quotes


def _tonal(settings: BuzzerSettings) -> bool:
    return settings.kind == "passive" and settings.active_high


def _device(settings: BuzzerSettings, factory: Any) -> Any:
    if settings.kind == "active":
        return gpiozero.Buzzer(
            settings.pin, active_high=settings.active_high, initial_value=False, pin_factory=factory
        )
    if settings.active_high:
        return gpiozero.TonalBuzzer(settings.pin, pin_factory=factory)
    # TonalBuzzer rests low, at which a low-triggered module would draw current all day.
    return gpiozero.PWMOutputDevice(
        settings.pin, active_high=False, initial_value=0, frequency=settings.frequency, pin_factory=factory
    )


@contextlib.contextmanager
def _private_working_directory() -> Iterator[None]:
    """Let lgpio be imported without a trace.

    At import it creates and opens a pipe `.lgd-nfy*` in the working directory, which fails where that is
    read-only, and moves the whole process to LG_WD if that is set (lgpio 0.2.2, `_callback_thread`).
    """
    if "lgpio" in sys.modules:
        yield
        return
    elsewhere = os.environ.pop("LG_WD", None)
    home = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with tempfile.TemporaryDirectory(prefix="edge-agent-") as folder:
            os.chdir(folder)
            try:
                yield
            finally:
                os.fchdir(home)
    finally:
        os.close(home)
        if elsewhere is not None:
            os.environ["LG_WD"] = elsewhere
