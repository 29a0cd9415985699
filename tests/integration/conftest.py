from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_broker import FakeBroker
from mosquitto import PROGRAM, Gate, Mosquitto, StrictMosquitto, Subscriber, running

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.switches import Switches


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A plain mosquitto."""
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed")
    with running(Mosquitto(tmp_path)) as started:
        yield started


@pytest.fixture
def watch(broker: Mosquitto) -> Iterator[Subscriber]:
    """Sees all that the plain broker carries; every message is validated at the end."""
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


@pytest.fixture
def gate(broker: Mosquitto) -> Iterator[Gate]:
    relay = Gate(broker.port)
    yield relay
    relay.close()


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeBroker]]:
    """Makes brokers that misbehave as their options say; all are closed at the end."""
    made: list[FakeBroker] = []

    def make(**options: object) -> FakeBroker:
        made.append(FakeBroker(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[StrictMosquitto]:
    """A mosquitto with passwords and rights."""
    with running(StrictMosquitto(tmp_path)) as broker:
        yield broker


@pytest.fixture
def owner(strict: StrictMosquitto) -> Iterator[Subscriber]:
    """Sees all that the strict broker carries, as a user who may."""
    watch = Subscriber(strict.port, username="owner", password="owner")
    yield watch
    watch.close()


@pytest.fixture
def mqtt_output(tmp_path: Path) -> Iterator[Callable[..., MqttOutput]]:
    """Makes started outputs that share one state directory; all are stopped at the end."""
    made: list[MqttOutput] = []

    def make(port: int, **options: object) -> MqttOutput:
        beeps = options.pop("beeps", [])
        switches = options.pop("switches", None) or Switches(tmp_path / "state" / "switches.json")
        state_dir = options.pop("state_dir", tmp_path / "state")
        clock = options.pop("clock", None)
        snapshots = options.pop("snapshots", False)
        device_id = options.pop("device_id", "door")
        defaults = {"host": "127.0.0.1", "port": port, "reconnect_min": 0.05, "reconnect_max": 0.3}
        output = MqttOutput(
            MqttSettings.model_validate({**defaults, **options}),
            DeviceSettings(id=str(device_id), name="Front door"),
            state_dir=Path(str(state_dir)),
            switches=switches,  # type: ignore[arg-type]  # the caller's word
            on_buzzer_test=lambda: beeps.append(1),  # type: ignore[attr-defined]
            snapshots=bool(snapshots),
            clock=clock,  # type: ignore[arg-type]
        )
        output.start()
        made.append(output)
        return output

    yield make
    for output in made:
        output.stop(2)


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """Debian keeps mosquitto and its password tool in different folders; both must be there or none."""
    if PROGRAM is not None and shutil.which("mosquitto_passwd") is None:
        pytest.fail("mosquitto is installed without mosquitto_passwd")
