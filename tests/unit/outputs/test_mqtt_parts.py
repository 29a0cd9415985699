"""The MQTT room's parts that need no broker: credentials, clock, commands, inbox, and words for failures."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from violations import make_notice

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt import inbox as inbox_module
from edge_agent.outputs.mqtt.clock import Clock, clock_synced, kernel_clock_synced, read_boot_id, timesyncd_synced
from edge_agent.outputs.mqtt.commands import CHECK, Commands, parse, state_text
from edge_agent.outputs.mqtt.credentials import SYSTEM_PASSWORD, resolve, with_system_password
from edge_agent.outputs.mqtt.factory import build_client
from edge_agent.outputs.mqtt.inbox import Inbox, Notice, Wake
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.mqtt.troubles import explain_end, explain_error
from edge_agent.outputs.switches import NAMES, Switches, SwitchValues

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
        build_client(MqttSettings.model_validate({"tls": tls}), "x", "5")


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


@pytest.mark.parametrize(
    ("code", "what", "remedy"),
    [
        ("Session taken over", "another client of the id twin", "mqtt.client_id"),
        ("Packet too large", "Packet too large", "max_packet_size"),
        ("Retain not supported", "Retain not supported", "retain_available"),
        ("Server shutting down", "Server shutting down", "log"),
    ],
)
def test_a_brokers_last_words_say_what_to_do(code: str, what: str, remedy: str) -> None:
    trouble = explain_end(ReasonCode(PacketTypes.DISCONNECT, code), "twin")
    assert what in trouble.what
    assert remedy in trouble.remedy


# -- commands ---------------------------------------------------------------------------------------------


def test_the_word_of_check_does_nothing() -> None:
    def never(*_: object) -> None:
        raise AssertionError

    topics, switches = Topics("door"), Switches(None)
    commands = Commands(topics, switches, on_buzzer_test=never, publish_state=never)
    for name in NAMES:
        assert commands.handle(topics.switch_set(name), CHECK, retained=False)
    assert switches.get() == SwitchValues()


def test_a_flood_of_nonsense_is_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    seconds, topics, told = [0.0], Topics("door"), []
    commands = Commands(
        topics,
        Switches(None),
        on_buzzer_test=lambda: None,
        publish_state=told.append,
        monotonic=lambda: seconds[0],
    )
    for number in range(1200):
        seconds[0] = number / 10
        commands.handle(topics.switch_set("mute"), b"perhaps", retained=False)
        commands.handle(topics.switch_set("cooldown"), b"3", retained=True)
    assert len(caplog.records) == 2 * 2
    assert "599 like it" in caplog.text
    assert len(told) == 1200, "each asker is told the state all the same"


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


def test_an_inbox_knows_how_long_nobody_has_asked() -> None:
    inbox = Inbox()
    inbox._left_at = time.monotonic() - 100
    assert inbox.unattended >= 100
    seen: list[float] = []

    class Queue:
        def get(self, timeout: float | None) -> Wake:
            seen.append(inbox.unattended)
            return Wake()

        def get_nowait(self) -> Wake:
            raise queue.Empty

    inbox._queue = Queue()  # type: ignore[assignment]
    assert inbox.take(None) == [Wake()]
    assert seen == [0.0], "somebody waits"
    assert 0 <= inbox.unattended < 100
    inbox._left_at = time.monotonic() - 100
    inbox.attended()
    assert inbox.unattended < 100
