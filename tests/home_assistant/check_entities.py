"""Run by script/test-home-assistant: a real Home Assistant core meets the device over a real mosquitto.

Home Assistant runs in this process, with the integrations that its own default set-up brings and an MQTT entry
as its configuration flow stores it. Every step prints what it saw; the first that goes wrong ends the run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, core, runner
from homeassistant.const import __version__ as ha_version
from homeassistant.helpers import device_registry, entity_registry
from mosquitto import Mosquitto, Subscriber, free_port, running
from violations import JPEG, make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.check import purge_discovery
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import FrameRates, StatusPayload, TodayCounts
from edge_agent.outputs.switches import Switches

PATIENCE = 30.0
DEVICE = DeviceSettings(id="Front-Door_1", name="Front door")
ENTITIES = "connectivity problem occupancy violation today_no_mask today_incorrect fps temperature health reason"
KEYS = [*ENTITIES.split(), "detection", "mute", "threshold", "cooldown", "test_beep"]


class Complaints(logging.Handler):
    """What Home Assistant says against our messages."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("homeassistant.components.mqtt"):
            self.lines.append(record.getMessage())


@dataclass
class World:
    """Broker, device and Home Assistant."""

    hass: core.HomeAssistant
    broker: Mosquitto
    folder: Path
    switches: Switches
    beeps: list[int] = field(default_factory=list)

    async def output(self, *, snapshots: bool) -> MqttOutput:
        """A started output. In a thread, for Home Assistant forbids its event loop to wait for anything."""
        return await asyncio.to_thread(self._output, snapshots)

    def _output(self, snapshots: bool) -> MqttOutput:
        output = MqttOutput(
            MqttSettings(host="127.0.0.1", port=self.broker.port, reconnect_min=0.1),
            DEVICE,
            state_dir=self.folder / "state",
            switches=self.switches,
            on_buzzer_test=lambda: self.beeps.append(1),
            snapshots=snapshots,
        )
        output.start()
        return output

    def entity(self, key: str) -> str | None:
        """Id of the entity with this key of ours, None if Home Assistant does not know it."""
        registry = entity_registry.async_get(self.hass)
        for entry in registry.entities.values():
            if entry.unique_id == f"edge_agent_{DEVICE.id}_{key}":
                return entry.entity_id
        return None

    def state(self, key: str) -> str | None:
        entity = self.entity(key)
        state = self.hass.states.get(entity) if entity else None
        return state.state if state else None

    def attributes(self, key: str) -> dict[str, Any]:
        state = self.hass.states.get(self.entity(key) or "none.none")
        return dict(state.attributes) if state else {}

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(
                    f"FAILED: {what}; states: {[(s.entity_id, s.state) for s in self.hass.states.async_all()]}"
                )
            await asyncio.sleep(0.02)
        print(f"ok  {what}")

    async def call(self, domain: str, service: str, key: str, **data: object) -> None:
        await self.hass.services.async_call(domain, service, {"entity_id": self.entity(key), **data}, blocking=True)


def write_config(folder: Path, port: int) -> None:
    """What the set-up dialogue would have stored: an MQTT entry for the broker."""
    (folder / ".storage").mkdir(parents=True)
    (folder / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {free_port()}\n")
    entry = {
        "created_at": "2026-01-01T00:00:00+00:00",
        "data": {"broker": "127.0.0.1", "port": port},
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "mqtt",
        "entry_id": "0123456789abcdef0123456789abcdef",
        "minor_version": 2,
        "modified_at": "2026-01-01T00:00:00+00:00",
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": "127.0.0.1",
        "unique_id": None,
        "version": 1,
    }
    store = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": [entry]}}
    (folder / ".storage" / "core.config_entries").write_text(json.dumps(store))


def status(**changes: Any) -> StatusPayload:
    fields: dict[str, Any] = {"version": "1", "uptime": 5, "camera": "ok", "health": "ok", **changes}
    return StatusPayload(**fields)


async def check_readings(world: World, output: MqttOutput) -> None:
    for key in KEYS:
        await world.until(lambda k=key: world.entity(k), f"{key} is there")
    devices = device_registry.async_get(world.hass)
    device = devices.async_get_device({("mqtt", f"edge_agent_{DEVICE.id}")})
    await world.until(lambda: device is not None and device.name == "Front door", "one device, by its name")
    await world.until(lambda: world.state("connectivity") == "on", "connected")
    output.publish_status(
        status(
            people=2,
            violations=1,
            frames=FrameRates(captured=15, processed=9.5, dropped=5.5),
            today=TodayCounts(no_mask=3, incorrect=1),
            temperature=61.5,
            health="degraded",
            reason="x" * 400,
        )
    )
    expected = {
        "problem": "on",
        "occupancy": "on",
        "today_no_mask": "3",
        "today_incorrect": "1",
        "fps": "9.5",
        "temperature": "61.5",
        "health": "degraded",
        "reason": "x" * 255,
    }
    for key, value in expected.items():
        await world.until(lambda k=key, v=value: world.state(k) == v, f"{key} says {value[:12]}")
    output.publish_status(status())
    for key, value in {"problem": "off", "occupancy": "off", "temperature": "unknown", "reason": "-"}.items():
        await world.until(lambda k=key, v=value: world.state(k) == v, f"{key} says {value}")


async def check_event(world: World, output: MqttOutput) -> None:
    notice = make_notice(4)
    output.handle(notice)
    await world.until(lambda: world.attributes("violation").get("event_type") == "started", "a live event")
    seen = world.attributes("violation")
    await world.until(lambda: seen["event_id"] == notice.violation.event_id, "with its fields as attributes")
    assert seen["kind"] == "no_mask" and seen["person"] == 4 and seen["replayed"] is False, seen


def record_without_broker(state_dir: Path) -> None:
    """A violation while the broker is away."""
    output = MqttOutput(
        MqttSettings(host="127.0.0.1", port=free_port()),
        DEVICE,
        state_dir=state_dir,
        switches=Switches(None),
        on_buzzer_test=lambda: None,
        snapshots=False,
    )
    output.start()
    output.handle(make_notice(5))
    output.stop()


async def check_replay(world: World, output: MqttOutput) -> MqttOutput:
    """Events of an outage come with another type, in order, and availability follows."""
    types: list[str] = []
    entity = world.entity("violation")

    def listen(event: core.Event[core.EventStateChangedData]) -> None:
        new = event.data["new_state"]
        if event.data["entity_id"] == entity and new and new.attributes.get("event_type"):
            types.append(new.attributes["event_type"])

    await asyncio.to_thread(output.stop)
    await world.until(lambda: world.state("connectivity") == "off", "disconnected is said, not unavailable")
    await world.until(lambda: world.state("problem") == "unavailable", "readings are unavailable")
    await asyncio.to_thread(record_without_broker, world.folder / "state")
    remove = world.hass.bus.async_listen("state_changed", listen)
    again = await world.output(snapshots=False)
    await world.until(lambda: "replayed_started" in types, "is replayed with another type")
    remove()
    assert "started" not in types, types
    await world.until(lambda: world.state("connectivity") == "on", "connected again")
    return again


async def check_controls(world: World) -> None:
    await world.call("switch", "turn_on", "mute")
    await world.until(lambda: world.switches.get().mute and world.state("mute") == "on", "mute switched on")
    await world.call("switch", "turn_off", "detection")
    await world.until(lambda: not world.switches.get().detection and world.state("detection") == "off", "detection")
    await world.call("number", "set_value", "threshold", value=0.75)
    await world.until(
        lambda: world.switches.get().threshold == 0.75 and world.state("threshold") == "0.75", "threshold"
    )
    await world.call("number", "set_value", "cooldown", value=42)
    await world.until(lambda: world.switches.get().cooldown == 42 and world.state("cooldown") == "42", "cooldown")
    await world.call("button", "press", "test_beep")
    await world.until(lambda: world.beeps == [1], "one test beep")


async def check_snapshots(world: World, output: MqttOutput) -> MqttOutput:
    await asyncio.to_thread(output.stop)
    await world.until(lambda: world.entity("snapshot") is None, "no picture while snapshots are off")
    output = await world.output(snapshots=True)
    await world.until(lambda: world.entity("snapshot"), "a picture once they are on")

    def arrived() -> bool:
        return world.state("snapshot") not in (None, "unknown", "unavailable")

    for person in range(20):  # Home Assistant subscribes a moment after it has made the entity
        output.handle(make_notice(person), JPEG)
        await asyncio.sleep(0.5)
        if arrived():
            break
    await world.until(arrived, "it has arrived")
    await asyncio.to_thread(output.stop)
    output = await world.output(snapshots=False)
    await world.until(lambda: world.entity("snapshot") is None, "and it is removed when they are off again")
    return output


async def check_birth(world: World, watch: Subscriber) -> None:
    topic = f"homeassistant/device/edge_agent_{DEVICE.id}/config"
    before = len(watch.seen)
    await world.hass.config_entries.async_reload("0123456789abcdef0123456789abcdef")
    await world.until(lambda: any(m.topic == topic for m in watch.seen[before:]), "described again after its birth")
    await world.until(lambda: world.state("connectivity") == "on", "all is back")


async def check_purge(world: World, output: MqttOutput) -> None:
    await asyncio.to_thread(output.stop)
    await asyncio.to_thread(purge_discovery, MqttSettings(host="127.0.0.1", port=world.broker.port), DEVICE)
    await world.until(lambda: not any(world.entity(key) for key in KEYS), "purged: no entity is left")
    devices = device_registry.async_get(world.hass)
    gone = ("mqtt", f"edge_agent_{DEVICE.id}")
    await world.until(lambda: devices.async_get_device({gone}) is None, "no device either")
    ghosts = [s.entity_id for s in world.hass.states.async_all() if "front_door" in s.entity_id]
    assert ghosts == [], ghosts


async def meet(folder: Path, broker: Mosquitto, watch: Subscriber) -> None:
    switches = Switches(folder / "switches.json")
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=str(folder / "config")))
    if hass is None or hass.config.recovery_mode:
        sys.exit("FAILED: Home Assistant did not start")
    await hass.async_start()
    print(f"ok  Home Assistant {ha_version} runs")
    world = World(hass, broker, folder, switches)
    output = await world.output(snapshots=False)
    await check_readings(world, output)
    await check_event(world, output)
    output = await check_replay(world, output)
    await check_controls(world)
    output = await check_snapshots(world, output)
    await check_birth(world, watch)
    await check_purge(world, output)
    await hass.async_stop(force=True)


def main() -> None:
    complaints = Complaints()
    logging.getLogger("homeassistant.components.mqtt").addHandler(complaints)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(Mosquitto(folder)) as broker:
            write_config(folder / "config", broker.port)
            watch = Subscriber(broker.port)
            # in a thread: Home Assistant forbids the one it runs in to wait for anything, for ever
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, meet(folder, broker, watch)).result()
            watch.close()
    if complaints.lines:
        sys.exit("FAILED: Home Assistant complains:\n" + "\n".join(complaints.lines))
    print("passed: every entity behaves, and Home Assistant has no complaint")


if __name__ == "__main__":
    asyncio.set_event_loop_policy(runner.HassEventLoopPolicy(False))
    main()
