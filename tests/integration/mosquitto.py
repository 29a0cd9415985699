"""What the tests with a real broker need: mosquitto itself, a subscriber that checks all it sees, and a gate."""

from __future__ import annotations

import contextlib
import json
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.config import DeviceSettings, MqttSettings, SnapshotSettings
from edge_agent.outputs.mqtt import check
from edge_agent.outputs.mqtt.payloads import schemas
from edge_agent.outputs.switches import Switches
from edge_agent.types import CheckLine

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
LOOPBACK = "127.0.0.1"
PATIENCE = 20.0
"""Seconds after which a condition that should have come true has failed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> None:
    """Wait for something that happens in another thread or process, and fail with `what` if it does not."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(0.005)


class Mosquitto:
    """One broker on a free loopback port; can be killed and started again on the same port."""

    def __init__(self, folder: Path, *lines: str, port: int | None = None) -> None:
        """`lines`: configuration of its listener; anonymous unless they tell otherwise."""
        assert PROGRAM is not None
        self.port = port or free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        self.log = folder / f"mosquitto-{self.port}.log"
        own = list(lines)
        if not any(line.startswith("allow_anonymous") for line in own):
            own.append("allow_anonymous true")
        head = ["persistence false", "user root", "log_type all", "max_queued_messages 100000"]
        self._config.write_text("\n".join([*head, f"listener {self.port} {LOOPBACK}", *own]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen([str(PROGRAM), "-c", str(self._config)], stdout=log, stderr=log)
        process = self._process

        def runs() -> bool:
            assert process.poll() is None, self.log.read_text(errors="replace")
            return b" running" in self.log.read_bytes()[before:]

        wait_until(runs, f"mosquitto runs on {self.port}")
        return self

    def reload(self) -> None:
        """Have it read its rights again, with all connections kept."""
        assert self._process is not None
        before = self.log.stat().st_size
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: b"Reloading config" in self.log.read_bytes()[before:], "mosquitto reloads")

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(10)
            self._process = None


DOOR = DeviceSettings(id="door", name="Front door")
RIGHTS = """\
topic write edge_agent/door/#
topic read edge_agent/door/+/set
topic read edge_agent/door/buzzer/test
topic write homeassistant/device/edge_agent_door/config
topic read homeassistant/status
"""
"""What docs/mqtt.md says that a device needs."""


def probe(settings: MqttSettings, device: DeviceSettings = DOOR, **snapshots: Any) -> CheckLine:
    """The broker's line of `edge-agent check`; `snapshots`: settings of that section."""
    ranges = Switches(None).ranges
    return check.probe(settings, device, snapshots=SnapshotSettings(**snapshots), ranges=ranges)


class StrictMosquitto(Mosquitto):
    """Knows `door`, who has the rights that may be changed, `guest`, who may nothing, and `owner`, who may all."""

    def __init__(self, folder: Path, rights: str = RIGHTS) -> None:
        self._rights = folder / "acl"
        self._write(rights)
        passwords = make_password_file(folder, door="geheim", guest="guest", owner="owner")
        lines = ("allow_anonymous false", f"password_file {passwords}", f"acl_file {self._rights}")
        super().__init__(folder, *lines)

    def allow(self, rights: str) -> None:
        """Give `door` these rights from now on, with all connections kept."""
        self._write(rights)
        self.reload()

    def _write(self, rights: str) -> None:
        self._rights.write_text(f"user door\n{rights}user owner\ntopic readwrite #\n")


def make_password_file(folder: Path, **users: str) -> Path:
    """A password file for mosquitto; readable for its own user too."""
    path = folder / "passwords"
    path.touch()
    for user, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", str(path), user, password], check=True)
    return path


def make_certificates(folder: Path) -> None:
    """ca.crt, and signed by it server.crt and .key for 127.0.0.1 and localhost, client.crt and .key."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=Test CA")
    (folder / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", f"{name}.ext", "-out", f"{name}.crt")


@dataclass(frozen=True)
class Seen:
    """A message as the subscriber got it."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.payload)
        return found


_VALIDATORS = {
    name: jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for name, schema in schemas().items()
}
_NAMES = {
    "availability": "availability",
    "status": "status",
    "violation": "violation",
    "detection/state": "switch",
    "mute/state": "switch",
    "threshold/state": "threshold",
    "cooldown/state": "cooldown",
}


def check_payload(topic: str, payload: bytes) -> None:
    """Validate a message of the device against the published schemas; fails for a topic that nobody documented."""
    if topic.endswith(("/set", "/buzzer/test")) or topic == "homeassistant/status":
        return  # said to the device, not by it
    if topic.startswith("homeassistant/device/"):
        name = "discovery"
    else:
        leaf = topic.split("/", 2)[2]
        if leaf == "snapshot":
            assert payload[:2] == b"\xff\xd8", "a snapshot is a JPEG"
            return
        name = _NAMES[leaf]
    value = payload.decode() if name in ("availability", "switch") else json.loads(payload)
    _VALIDATORS[name].validate(value)


class Subscriber:
    """Keeps what the broker delivers, in order; each message is validated when `close` or `check` is called."""

    def __init__(self, port: int, **options: Any) -> None:
        """`options`: `transport`, `username`, `password`, `ca` for brokers that want them."""
        self.seen: list[Seen] = []
        self.ready = threading.Event()
        self._port = port
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"subscriber-{port}", transport=options.get("transport", "tcp")
        )
        if "username" in options:
            self._client.username_pw_set(options["username"], options["password"])
        if "ca" in options:
            self._client.tls_set(ca_certs=str(options["ca"]))
        self._client.on_connect = lambda client, *_: client.subscribe([("edge_agent/#", 1), ("homeassistant/#", 1)])
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_disconnect = lambda *_: self.ready.clear()
        self._client.on_message = lambda _c, _u, m: self.seen.append(Seen(m.topic, bytes(m.payload), m.retain))
        self._client.connect(LOOPBACK, port)
        self._client.loop_start()
        assert self.ready.wait(PATIENCE)

    def reconnect(self) -> None:
        """Come back to a broker that was restarted."""
        self._client.loop_stop()
        self.ready.clear()  # paho may have come back by itself meanwhile, and this connection is another one
        self._client.reconnect()
        self._client.loop_start()
        assert self.ready.wait(PATIENCE)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)

    def on(self, end: str) -> list[Seen]:
        """Messages whose topic ends so."""
        return [message for message in list(self.seen) if message.topic.endswith(end)]

    def violations(self) -> list[dict[str, Any]]:
        return [message.json for message in self.on("/violation")]

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> None:
        wait_until(condition, f"{what}; seen: {[m.topic for m in self.seen[-8:]]}", timeout)

    def check(self) -> None:
        for message in list(self.seen):
            if message.payload:
                check_payload(message.topic, message.payload)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self.check()


class Gate:
    """A TCP relay in front of the broker: cuts connections, lets none through, or swallows all bytes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._open = True
        self._stalled = False
        self._mute = False
        self._outer: set[socket.socket] = set()
        self._end = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Cut everything; nobody gets through until `open`."""
        with self._lock:
            self._open = False
            self._mute = False
            for peer in list(self._peers):
                self._drop(peer)

    def open(self) -> None:
        with self._lock:
            self._open = True
            self._stalled = False

    def stall(self) -> None:
        """Keep connections and take new ones, but pass on nothing: a network that has silently died."""
        with self._lock:
            self._stalled = True

    def mute(self) -> None:
        """Let the broker hear, and keep back what it answers, until `shut`."""
        with self._lock:
            self._mute = True

    def close(self) -> None:
        self._end = True
        self._thread.join(5)
        for peer in [*self._peers, self._listener]:
            peer.close()

    def _run(self) -> None:
        while not self._end:
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif not self._stalled and not (self._mute and key.fileobj in self._outer):
                        self._relay(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
            if self._stalled or self._mute:
                time.sleep(0.002)  # the selector goes on reporting what is kept back

    def _accept(self) -> None:
        inner, _ = self._listener.accept()
        if not self._open:
            inner.close()
            return
        try:
            outer = socket.create_connection((LOOPBACK, self._target), timeout=5)
        except OSError:
            inner.close()
            return
        self._outer.add(outer)
        for one, other in ((inner, outer), (outer, inner)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _relay(self, source: socket.socket) -> None:
        other = self._peers.get(source)
        if other is None:
            return
        try:
            data = source.recv(65536)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)

    def _drop(self, source: socket.socket) -> None:
        for peer in (source, self._peers.get(source)):
            if peer is not None and self._peers.pop(peer, None) is not None:
                self._selector.unregister(peer)
                self._outer.discard(peer)
                peer.close()


@contextlib.contextmanager
def running(broker: Mosquitto) -> Iterator[Mosquitto]:
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
