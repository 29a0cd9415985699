"""Brokers that want something: TLS, certificates, passwords, rights, WebSockets, MQTT 5; and `check` on them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mosquitto import (
    DOOR,
    PROGRAM,
    RIGHTS,
    Gate,
    Mosquitto,
    StrictMosquitto,
    Subscriber,
    free_port,
    make_certificates,
    probe,
    running,
    wait_until,
)
from violations import JPEG, make_notice

from edge_agent.cli import main
from edge_agent.config import MqttSettings
from edge_agent.outputs.mqtt import credentials
from edge_agent.outputs.mqtt.check import purge_discovery
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.mqtt.talk import BrokerError

pytestmark = [pytest.mark.broker, pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")]
Make = Callable[..., MqttOutput]


def settings(port: int, **changes: object) -> MqttSettings:
    return MqttSettings.model_validate({"host": "127.0.0.1", "port": port, **changes})


def reports(output: MqttOutput, watch: Subscriber) -> None:
    """The output connects, and its event arrives."""
    output.handle(make_notice(42))
    watch.wait(lambda: [v["person"] for v in watch.violations()] == [42], f"the event; {output.stats()}")
    wait_until(lambda: output.stats().depth == 0, "acknowledged")


# -- TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def tls_broker(tmp_path: Path, certificates: Path) -> Iterator[Mosquitto]:
    lines = (f"certfile {certificates}/server.crt", f"keyfile {certificates}/server.key")
    with running(Mosquitto(tmp_path, *lines)) as broker:
        yield broker


def test_tls_with_an_own_authority(tls_broker: Mosquitto, certificates: Path, mqtt_output: Make) -> None:
    watch = Subscriber(tls_broker.port, ca=certificates / "ca.crt")
    tls = {"enabled": True, "ca_file": certificates / "ca.crt"}
    reports(mqtt_output(tls_broker.port, tls=tls), watch)
    line = probe(settings(tls_broker.port, tls=tls), DOOR)
    assert line.status == "ok"
    assert "TLS" in line.text
    watch.close()


def test_a_certificate_of_an_unknown_authority_is_refused(tls_broker: Mosquitto, mqtt_output: Make) -> None:
    output = mqtt_output(tls_broker.port, tls={"enabled": True})
    wait_until(lambda: "not trusted" in (output.stats().reason or ""), "refused")
    line = probe(settings(tls_broker.port, tls={"enabled": True}), DOOR)
    assert line.status == "fail"
    assert "ca_file" in line.hint


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, certificates: Path) -> None:
    other = free_port()
    files = (f"certfile {certificates}/server.crt", f"keyfile {certificates}/server.key")
    with running(Mosquitto(tmp_path, *files, "allow_anonymous true", f"listener {other} 127.0.0.2", *files)):
        tls = {"enabled": True, "ca_file": certificates / "ca.crt"}
        line = probe(settings(other, host="127.0.0.2", tls=tls), DOOR)
    assert line.status == "fail"
    assert "127.0.0.2" in line.text
    assert "mqtt.host to a name in it" in line.hint


def test_a_client_certificate(tmp_path: Path, certificates: Path, mqtt_output: Make) -> None:
    lines = (
        f"cafile {certificates}/ca.crt",
        f"certfile {certificates}/server.crt",
        f"keyfile {certificates}/server.key",
        "require_certificate true",
        "allow_anonymous true",
    )
    plain = free_port()
    with running(Mosquitto(tmp_path, *lines, f"listener {plain} 127.0.0.1", "allow_anonymous true")) as broker:
        watch = Subscriber(plain)
        tls = {"enabled": True, "ca_file": certificates / "ca.crt"}
        own = {"cert_file": certificates / "client.crt", "key_file": certificates / "client.key"}
        assert probe(settings(broker.port, tls=tls), DOOR).status == "fail"
        reports(mqtt_output(broker.port, tls={**tls, **own}), watch)
        watch.close()


def test_tls_at_a_plain_port_and_the_other_way_round(
    broker: Mosquitto, tls_broker: Mosquitto, certificates: Path
) -> None:
    tls = {"enabled": True, "ca_file": certificates / "ca.crt"}
    line = probe(settings(broker.port, tls=tls, connect_timeout=2), DOOR)
    assert line.status == "fail"
    assert "TLS" in line.text + line.hint
    line = probe(settings(tls_broker.port, connect_timeout=2), DOOR)
    assert line.status == "fail"
    assert "tls.enabled" in line.hint


def test_a_missing_authority_file_is_named(broker: Mosquitto, mqtt_output: Make, tmp_path: Path) -> None:
    tls = {"enabled": True, "ca_file": tmp_path / "none.crt"}
    output = mqtt_output(broker.port, tls=tls)
    wait_until(lambda: "none.crt" in (output.stats().reason or ""), "named")
    assert "mqtt.tls.ca_file" in probe(settings(broker.port, tls=tls), DOOR).text


# -- passwords and rights -------------------------------------------------------------------------------


def test_check_and_purge_by_hand_find_the_installed_password(
    strict: StrictMosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "mqtt_password"
    secret.write_text("geheim\n")
    monkeypatch.setattr(credentials, "SYSTEM_PASSWORD", secret)
    for name in ("CREDENTIALS_DIRECTORY", credentials.PASSWORD_VARIABLE, credentials.USERNAME_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"device: {{id: door}}\ncamera: {{source: test}}\nbuzzer: {{driver: simulated}}\n"
        f"mqtt: {{host: 127.0.0.1, port: {strict.port}, username: door}}\nservice: {{state_dir: {tmp_path}}}\n"
    )
    main(["check", "--json", "-c", str(config)])
    checks = {line["name"]: line for line in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["broker"]["status"] == "ok", checks["broker"]
    assert main(["purge-discovery", "-c", str(config)]) == 0


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_password_from_a_file(
    protocol: str, strict: StrictMosquitto, owner: Subscriber, mqtt_output: Make, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    access = {"username": "door", "password_file": secret, "protocol": protocol}
    line = probe(settings(strict.port, **access), DOOR)
    assert (line.status, "may publish" in line.text) == ("ok", True)
    reports(mqtt_output(strict.port, **access), owner)
    owner.publish("edge_agent/door/mute/set", "ON")
    owner.wait(lambda: [m for m in owner.on("mute/state") if m.payload == b"ON"], "the switch is heard")


def test_a_password_from_a_systemd_credential(
    strict: StrictMosquitto, owner: Subscriber, mqtt_output: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt_password").write_text("geheim")
    (tmp_path / "mqtt_username").write_text("door")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    reports(mqtt_output(strict.port), owner)


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_wrong_password_is_said_once_and_retried_slowly(
    protocol: str,
    strict: StrictMosquitto,
    owner: Subscriber,
    mqtt_output: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "wrong")
    access = {"username": "door", "protocol": protocol}
    line = probe(settings(strict.port, **access), DOOR)
    assert line.status == "fail"
    assert "password" in line.hint

    caplog.clear()
    before = strict.log.read_text().count("New connection")
    output = mqtt_output(strict.port, refused_retry=0.4, **access)
    wait_until(lambda: "check mqtt.username" in (output.stats().reason or ""), "the reason")
    output.handle(make_notice(42))
    wait_until(lambda: strict.log.read_text().count("New connection") >= before + 3, "tried again and again")
    assert len([r for r in caplog.records if "MQTT:" in r.message]) == 1, "logged once"
    assert "wrong" not in caplog.text, "the password is no log line"
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "geheim")
    owner.wait(lambda: owner.violations(), "a corrected password takes effect without a restart")


def test_a_refused_broker_is_not_hurried(
    strict: StrictMosquitto, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "wrong")
    output = mqtt_output(strict.port, username="door", reconnect_min=0.01, reconnect_max=0.02)
    wait_until(lambda: not output.stats().connected and output.stats().reason != "not connected yet", "refused")
    attempts = strict.log.read_text().count("New connection")
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    output.handle(make_notice())
    wait_until(lambda: output.stats().committed == 1, "the event is kept")
    time.sleep(0.3)  # with the pauses of an unreachable broker, a dozen attempts would fit in here
    assert strict.log.read_text().count("New connection") == attempts


def test_events_refused_by_rights_stay_and_go_out_once_allowed(
    strict: StrictMosquitto, owner: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MQTT 5 tells of the refusal in the PUBACK: only a PUBACK that accepts delivers."""
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "geheim")
    strict.allow(RIGHTS.replace("topic write edge_agent/door/#", "topic write edge_agent/door/availability"))
    output = mqtt_output(strict.port, username="door", protocol="5", refused_retry=0.3, snapshots=True)
    for person in range(12):
        output.handle(make_notice(person), JPEG if person == 3 else None)
    wait_until(lambda: "does not take events" in (output.stats().reason or ""), "the reason")
    assert output.stats().depth >= 12, "nothing was thrown away"
    line = probe(settings(strict.port, username="door", protocol="5"), DOOR)
    assert (line.status, "publish" in line.text) == ("fail", True)
    line = probe(settings(strict.port, username="door"), DOOR)
    assert (line.status, "publish" in line.text) == ("fail", True), "found out though 3.1.1 is configured"
    strict.allow(RIGHTS)
    owner.wait(lambda: len({v["person"] for v in owner.violations()}) == 12, "all twelve")
    assert list(dict.fromkeys(v["person"] for v in owner.violations())) == list(range(12)), "in order"
    wait_until(lambda: output.stats().reason is None, "all is well")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_refused_subscriptions_are_said(
    protocol: str, tmp_path: Path, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `acl_file` can't refuse a subscription; mosquitto's dynamic-security plugin can."""
    plugin = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
    control = shutil.which("mosquitto_ctrl")
    if plugin is None or control is None:
        pytest.skip("mosquitto comes without its dynamic-security plugin")
    config = tmp_path / "dynamic-security.json"
    subprocess.run([control, "dynsec", "init", str(config), "door", "geheim"], check=True, capture_output=True)
    rights = json.loads(config.read_text())
    rights["clients"][0]["roles"] = []
    rights["defaultACLAccess"] = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False}
    config.write_text(json.dumps(rights))
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "geheim")
    lines = ("allow_anonymous false", f"plugin {plugin}", f"plugin_opt_config_file {config}")
    with running(Mosquitto(tmp_path, *lines)) as broker:
        output = mqtt_output(broker.port, username="door", protocol=protocol)
        wait_until(lambda: "right to read" in (output.stats().reason or ""), "the reason")
        assert output.stats().connected
        output.handle(make_notice())
        wait_until(lambda: output.stats().committed == 1 and output.stats().depth == 0, "it reports all the same")
        line = probe(settings(broker.port, username="door", protocol=protocol), DOOR)
        assert line.status == "fail"
        assert "right to read edge_agent/door/detection/set" in line.hint


# -- other ways -----------------------------------------------------------------------------------------


def test_websockets(tmp_path: Path, mqtt_output: Make) -> None:
    plain = free_port()
    lines = ("protocol websockets", "allow_anonymous true", f"listener {plain} 127.0.0.1")
    with running(Mosquitto(tmp_path, *lines)) as broker:
        watch = Subscriber(plain)
        reports(mqtt_output(broker.port, transport="websockets"), watch)
        assert probe(settings(broker.port, transport="websockets"), DOOR).status == "ok"
        line = probe(settings(plain, transport="websockets", connect_timeout=1), DOOR)
        assert line.status == "fail"
        watch.close()


def test_mqtt_5(broker: Mosquitto, watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(broker.port, protocol="5")
    reports(output, watch)
    assert "p5" in broker.log.read_text(), "the broker saw MQTT 5"
    output.stop()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "goodbye")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_the_will_says_offline_when_the_connection_breaks(
    protocol: str, watch: Subscriber, gate: Gate, mqtt_output: Make
) -> None:
    output = mqtt_output(gate.port, protocol=protocol)
    watch.wait(lambda: watch.on("/availability"), "online")
    gate.shut()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "the will")
    gate.open()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"online", "online again, not stuck")
    assert output.stats().connected


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_another_client_of_the_same_id_is_suspected(
    protocol: str, broker: Mosquitto, mqtt_output: Make, tmp_path: Path
) -> None:
    """mosquitto 2.0.11 says in no version of MQTT why it ends the connection."""
    options = {"client_id": "twin", "protocol": protocol}
    one = mqtt_output(broker.port, device_id="one", state_dir=tmp_path / "one", **options)
    two = mqtt_output(broker.port, device_id="two", state_dir=tmp_path / "two", **options)

    def suspected() -> bool:
        return any("does another client use the id twin?" in (each.stats().reason or "") for each in (one, two))

    wait_until(suspected, "the suspicion")


def test_check_without_a_broker() -> None:
    line = probe(settings(free_port()), DOOR)
    assert (line.status, "nobody listens" in line.text) == ("fail", True)
    line = probe(settings(1883, host="broker.invalid"), DOOR)
    assert (line.status, "can't be resolved" in line.text) == ("fail", True)


def test_check_leaves_the_running_service_alone(broker: Mosquitto, watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(broker.port)
    watch.wait(lambda: watch.on("/availability"), "online")
    assert probe(settings(broker.port), DOOR).status == "ok"
    assert output.stats().connected
    assert [m.payload for m in watch.on("/availability")] == [b"online"]
    watch.seen[:] = [m for m in watch.seen if not m.topic.endswith("/check")]


def test_purge_leaves_nothing_behind(broker: Mosquitto, watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(broker.port)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/status"), "described and told")
    output.stop()
    purge_discovery(settings(broker.port), DOOR)
    newcomer = Subscriber(broker.port)
    newcomer.publish("edge_agent/marker/buzzer/test", "")
    newcomer.wait(lambda: newcomer.on("marker/buzzer/test"), "the marker")
    assert [m.topic for m in newcomer.seen if m.retained] == []
    newcomer.close()


def test_purge_without_a_broker() -> None:
    with pytest.raises(BrokerError, match="nobody listens"):
        purge_discovery(settings(free_port()), DOOR)
