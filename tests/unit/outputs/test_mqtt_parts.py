"""The MQTT room's parts that need no broker: credentials, clock, commands, inbox, and words for failures."""

from __future__ import annotations

import math
import os
import socket
import sqlite3
import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from violations import make_notice

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt import inbox as inbox_module
from edge_agent.outputs.mqtt.clock import Clock, clock_synced, kernel_clock_synced, read_boot_id, timesyncd_synced
from edge_agent.outputs.mqtt.commands import parse, state_text
from edge_agent.outputs.mqtt.credentials import SYSTEM_PASSWORD, resolve, with_system_password
from edge_agent.outputs.mqtt.factory import build_client, explain_error
from edge_agent.outputs.mqtt.inbox import Inbox, Notice, Wake
from edge_agent.outputs.mqtt.outbox import DISK_RETRY, Draft, Outbox
from edge_agent.outputs.mqtt.payloads import ViolationFacts
from edge_agent.outputs.mqtt.sender import PICTURE_TRIES, Sender
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import SwitchValues

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)


# -- credentials ------------------------------------------------------------------------------------------


def test_the_password_file_goes_before_credential_and_environment(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from file \n")
    (tmp_path / "mqtt_password").write_text("from credential")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "EDGE_AGENT_MQTT_PASSWORD": "from environment"}
    named = MqttSettings(username="door", password_file=tmp_path / "file")
    assert resolve(named, env) == ("door", "from file "), "the line's end alone is no part of it"
    assert resolve(MqttSettings(username="door"), env) == ("door", "from credential")
    del env["CREDENTIALS_DIRECTORY"]
    assert resolve(MqttSettings(username="door"), env) == ("door", "from environment")
    assert resolve(MqttSettings(), {"EDGE_AGENT_MQTT_USERNAME": "env"}) == ("env", None)
    assert resolve(MqttSettings(), {}) == (None, None)


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: .*none"):
        resolve(MqttSettings(username="door", password_file=tmp_path / "none"), {})


def test_a_password_without_a_user_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.username"):
        resolve(MqttSettings(), {"EDGE_AGENT_MQTT_PASSWORD": "x"})


def test_a_command_by_hand_finds_the_password_that_systemd_hands_the_service(tmp_path: Path) -> None:
    path = tmp_path / "mqtt_password"
    path.write_text("the installer's\n")
    settings = MqttSettings(username="door")
    assert resolve(with_system_password(settings, {}, path), {}) == ("door", "the installer's")
    for env in ({"CREDENTIALS_DIRECTORY": str(tmp_path)}, {"EDGE_AGENT_MQTT_PASSWORD": "mine"}):
        assert with_system_password(settings, env, path) is settings
    named = MqttSettings(username="door", password_file=tmp_path / "other")
    assert with_system_password(named, {}, path) is named
    assert with_system_password(settings, {}, tmp_path / "none") is settings
    assert with_system_password(settings, {}, path / "below a file") is settings
    path.write_text("")
    assert resolve(with_system_password(settings, {}, path), {}) == ("door", None), "as the service takes it"


def test_it_is_the_file_that_the_units_load() -> None:
    for unit in ("edge-agent.service", "edge-agent@.service"):
        text = (Path(__file__).parents[3] / "systemd" / unit).read_text()
        assert f"LoadCredential=mqtt_password:{SYSTEM_PASSWORD}\n" in text


def test_an_encrypted_key_does_not_ask_for_its_password(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("nonsense")
    tls = {"enabled": True, "cert_file": tmp_path / "c", "key_file": tmp_path / "c"}
    with pytest.raises(ConfigError, match="cert_file"):
        build_client(MqttSettings.model_validate({"tls": tls}), "x")


# -- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (socket.gaierror(-2, "unknown"), "can't be resolved", "mqtt.host"),
        (ConnectionRefusedError(), "nobody listens at localhost:1883", "running"),
        (TimeoutError(), "no answer", "firewall"),
        (ConnectionResetError(), "closed", "tls"),
        (ssl.SSLError(1, "wrong version number"), "TLS", "8883"),
        (OSError(101, "Network is unreachable"), "Network is unreachable", "network"),
    ],
)
def test_failures_say_what_to_do(error: Exception, what: str, remedy: str) -> None:
    trouble = explain_error(error, MqttSettings())
    assert what in trouble.what
    assert remedy in trouble.remedy


# -- commands ---------------------------------------------------------------------------------------------


def test_parse() -> None:
    assert parse("mute", b"ON") is True
    assert parse("detection", b" OFF\n") is False
    assert parse("threshold", b"0.7") == 0.7
    assert parse("cooldown", b"1e1") == 10
    assert parse("cooldown", b"-3.5") == -3.5, "the range is the switches' business"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("mute", b"1"),
        ("mute", b"on"),
        ("threshold", b""),
        ("threshold", b"1_0"),
        ("threshold", b"nan"),
        ("threshold", b"\xff"),
        ("threshold", b"0,7"),
        ("cooldown", b"inf"),
        ("cooldown", b"9" * 10_000),
    ],
)
def test_parse_refuses(name: str, payload: bytes) -> None:
    with pytest.raises(ValueError, match=name) as refusal:
        parse(name, payload)
    assert len(str(refusal.value)) < 250


def test_state_text_reads_back() -> None:
    values = SwitchValues(mute=True, threshold=0.7000000000000001, cooldown=86_400)
    assert [state_text(name, values) for name in ("detection", "mute", "threshold", "cooldown")] == [
        "ON",
        "ON",
        "0.7",
        "86400",
    ]


# -- clock ------------------------------------------------------------------------------------------------


def test_the_systems_clock() -> None:
    clock = Clock.system()
    assert abs((clock.wall() - datetime.now(timezone.utc)).total_seconds()) < 5
    assert clock.monotonic() <= clock.monotonic()
    assert clock.boot_id == read_boot_id()
    assert clock_synced() in (True, False)


@pytest.mark.parametrize(("age", "believed"), [(1.0, True), (8 * 3600.0, True), (24 * 3600.0, False)])
def test_timesyncds_word_ages(tmp_path: Path, age: float, believed: bool) -> None:
    flag = tmp_path / "synchronized"
    assert not timesyncd_synced(flag)
    flag.touch()
    os.utime(flag, (time.time() - age,) * 2)
    assert timesyncd_synced(flag) is believed


def test_a_kernel_that_may_not_be_asked_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.outputs.mqtt.clock.kernel_clock_synced", lambda: None)
    monkeypatch.setattr("edge_agent.outputs.mqtt.clock.timesyncd_synced", lambda: True)
    assert clock_synced() is True
    assert kernel_clock_synced() in (True, False, None)


# -- inbox ------------------------------------------------------------------------------------------------


def test_a_stuck_worker_costs_pictures_then_events_but_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MOST_NOTICES", 5)
    monkeypatch.setattr(inbox_module, "MOST_PICTURE_BYTES", 250)
    inbox = Inbox()
    for person in range(8):
        inbox.put(Notice(make_notice(person), bytes(100), True))
    inbox.put(Wake())
    assert inbox.dropped == 3
    news = inbox.take(0)
    assert [len(item.jpeg or b"") for item in news if isinstance(item, Notice)] == [100, 100, 0, 0, 0]
    inbox.put(Notice(make_notice(), bytes(100), True))
    assert isinstance(inbox.take(0)[0], Notice), "room again"
    assert inbox.take(0) == []


# -- sender -----------------------------------------------------------------------------------------------


class Wire:
    """Takes publications as a connection does, and counts their ids."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.up = True

    def publish(self, topic: str, body: bytes) -> int | None:
        if not self.up:
            return None
        self.sent.append((topic.rpartition("/")[2], body))
        return len(self.sent)


class Bench:
    """A sender with an outbox, clock and wire of its own."""

    def __init__(self, folder: Path, **changes: float) -> None:
        self.seconds = 1000.0
        clock = Clock(
            wall=lambda: NOW + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            synced=lambda: True,
            boot_id="boot",
        )
        self.wire = Wire()
        self.outbox = Outbox(folder / "o", 10_000_000, clock=clock)
        options = {"window": 4, "replay_rate": 10.0, "refused_retry": 60.0, **changes}
        self.sender = Sender(
            self.outbox,
            Topics("door"),
            self.wire.publish,
            clock=clock,
            window=int(options["window"]),
            replay_rate=options["replay_rate"],
            refused_retry=options["refused_retry"],
        )

    def append(self, *pictures: bool) -> None:
        body = ViolationFacts.from_violation(make_notice().violation).to_json()
        drafts = [Draft(b"\xff\xd8" if p else body, self.seconds, True, picture=p) for p in pictures]
        self.outbox.append(drafts)

    def acknowledge(self, *mids: int, refusal: str | None = None) -> None:
        self.sender.acknowledged([(mid, refusal) for mid in mids])


def test_the_window_bounds_what_is_on_its_way(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(*[False] * 10)
    bench.sender.pump()
    assert len(bench.wire.sent) == 4
    bench.acknowledge(1)
    bench.sender.pump()
    assert len(bench.wire.sent) == 5
    bench.acknowledge(3, 4)
    bench.sender.pump()
    assert len(bench.wire.sent) == 7
    assert bench.outbox.depth == 7


def test_only_its_own_acknowledgement_delivers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(False, False)
    bench.sender.pump()
    bench.acknowledge(2, 77)
    assert [entry.seq for entry in bench.outbox.pending(limit=9)] == [1]


def test_what_was_not_acknowledged_is_sent_again_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replay_rate=1000)
    bench.sender.connected()
    bench.append(False, False, False)
    bench.sender.pump()
    bench.acknowledge(2)
    bench.sender.disconnected()
    assert bench.sender.pump() == math.inf, "nothing goes out without a connection"
    bench.append(False)
    bench.sender.connected()
    for _ in range(4):
        bench.seconds += bench.sender.pump() if bench.sender.pump() < 1 else 0
    seqs = [body.split(b'"seq":')[1].split(b",")[0] for _, body in bench.wire.sent]
    assert seqs == [b"1", b"2", b"3", b"1", b"3", b"4"]
    assert [b'"replayed":true' in body for _, body in bench.wire.sent] == [False] * 3 + [True] * 3


def test_old_events_are_not_called_live(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(False)
    bench.seconds += 11
    bench.sender.pump()
    assert b'"replayed":true' in bench.wire.sent[0][1]


def test_a_refused_event_stops_the_queue_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(False)
    bench.sender.pump()
    bench.acknowledge(1, refusal="Not authorized")
    bench.append(False)
    assert bench.sender.refusal
    assert bench.sender.pump() == pytest.approx(60)
    assert len(bench.wire.sent) == 1
    bench.seconds += 61
    bench.sender.pump()
    assert len(bench.wire.sent) == 2, "one at a time while replaying"
    bench.acknowledge(2)
    assert bench.sender.refusal is None


def test_a_picture_does_not_hold_back_its_event_for_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(True, False)
    for _ in range(PICTURE_TRIES):
        bench.sender.connected()
        bench.seconds += 1
        bench.sender.pump()
        bench.sender.disconnected()
    assert bench.outbox.dropped_pictures == 1
    assert [entry.picture for entry in bench.outbox.pending(limit=9)] == [False]
    bench.sender.connected()
    bench.append(True)
    bench.seconds += 1
    bench.sender.pump()
    bench.acknowledge(len(bench.wire.sent), refusal="Quota exceeded")
    assert bench.outbox.dropped_pictures == 2
    assert bench.sender.refusal is None


def test_a_body_of_another_version_is_dropped_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path)
    bench.outbox.append([Draft(b'{"schema": 7}', 1.0, True)])
    bench.append(False)
    bench.sender.connected()
    bench.sender.pump()
    assert "can't be read" in caplog.text
    assert len(bench.wire.sent) == 1
    assert bench.outbox.depth == 1


def test_what_was_out_of_reach_goes_out_when_the_disk_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Bench(tmp_path)
    before.append(False, False)
    before.outbox.close()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "load", _locked)
        bench = Bench(tmp_path, replay_rate=1000)
    bench.sender.connected()
    bench.append(False)
    bench.sender.pump()
    bench.append(False)  # on its way, unacknowledged, when the disk comes back
    bench.sender.pump()
    bench.acknowledge(1)
    bench.seconds += DISK_RETRY + 1
    bench.outbox.tend()
    for _ in range(4):
        bench.seconds += 1
        bench.sender.pump()
    seqs = [int(body.split(b'"seq":')[1].split(b",")[0]) for _, body in bench.wire.sent]
    assert seqs[2:] == [1, 2]
    assert len(set(seqs)) == 4


def _locked(_self: Store, *_: object) -> None:
    raise sqlite3.OperationalError("database is locked")


def test_what_was_acknowledged_while_the_disk_was_away_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, window=2, replay_rate=1000)
    bench.sender.connected()
    bench.append(False, False, False)
    bench.sender.pump()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", _locked)
        patch.setattr(Store, "load", _locked)
        bench.outbox.pending(after=2)
        bench.acknowledge(1, 2)
    bench.seconds += DISK_RETRY + 1
    bench.outbox.tend()
    bench.sender.pump()
    seqs = [int(body.split(b'"seq":')[1].split(b",")[0]) for _, body in bench.wire.sent]
    assert seqs == [1, 2, 3]
