"""Errors of the configuration name file, line, field, value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import Pattern, QuietHours, Settings
from edge_agent.config_fields import Section
from edge_agent.config_file import load, parse
from edge_agent.errors import EXIT_CONFIG, ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.yaml"


def test_the_commented_example_says_the_defaults() -> None:
    assert load(EXAMPLE) == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera:\n  widht: 3", ["line 2", "camera.widht", "unknown key", "width"]),
        ("camera:\n  width: abc", ["line 2", "camera.width", "'abc'", "integer"]),
        ("camera:\n  width: 640\n  fps: 0", ["line 3", "camera.fps", "0.2", "found 0"]),
        ("camera:\n  roi: [[0, 0], [1, 1]]", ["line 2", "camera.roi", "three corners"]),
        ("camera:\n  roi: [[0, 0], [0.5, 0.5], [1, 1]]", ["line 2", "camera.roi", "nobody would be watched"]),
        ("mqtt:\n  host: 192.168.1.10:1883", ["line 2", "mqtt.host", "`port:`"]),
        ("mqtt:\n  host: my broker", ["line 2", "mqtt.host", "no host"]),
        ("service:\n  state_dir: ~nobody-of-this-name/x", ["line 2", "service.state_dir", "whole path"]),
        ("vision:\n  power: fast", ["line 2", "vision.power", "'balanced'", "'fast'"]),
        ("vision:\n  face:\n    input_width: 100", ["line 3", "vision.face.input_width", "multiple of 32"]),
        ("mqtt:\n  tls:\n    cert_file: a", ["line 2", "mqtt.tls", "belong together"]),
        ("people:\n  window: 2\n  min_votes: 5", ["line 1", "people", "at least min_votes"]),
        ("nonsense: 1", ["line 1", "nonsense", "unknown key", "camera"]),
        ("camera: {}\ncamera: {}", ["line 2", "given twice", "line 1"]),
        ("camera: [", ["line 1", "not YAML"]),
        ("camera: &a {}\nweb: *a", ["line 2", "aliases"]),
        ("camera: !!python/name:os.system", ["not YAML"]),
        ("- camera", ["line 1", "sections"]),
        ("just text", ["line 1", "sections"]),
        ("\x00", ["not YAML"]),
        ("[" * 5000, ["not YAML", "deeply"]),
        ("device: !!bool x", ["line 1", "device", "not YAML", "tag"]),
        ('violations:\n  quiet_hours:\n    - {start: "22:00", end: "22:00"}', ["line 3", "end when they begin"]),
        ("camera:\n  source: true", ["line 2", "camera.source", "true and false"]),
        ("mqtt:\n  port: true", ["line 2", "mqtt.port", "true and false"]),
        ("vision:\n  max_fps: 0.03", ["line 2", "vision.max_fps", "0.2"]),
        ("vision:\n  face: {min_size: 300, max_size: 100}", ["line 2", "vision.face", "no face would count"]),
        ("vision:\n  face: {max_size: 20, min_size: 10}", ["line 1", "vision", "nobody would be judged"]),
        ("camera:\n  exposure: .nan", ["line 2", "camera.exposure"]),
        ("mqtt:\n  port: 0x" + "f" * 4000, ["line 2", "mqtt.port"]),
        ('mqtt:\n  discovery: {prefix: "a\\0b"}', ["line 2", "mqtt.discovery.prefix"]),
        ("device: !!timestamp x", ["line 1", "device", "not YAML", "tag"]),
        ('camera:\n  fps: !!float ""', ["line 2", "camera.fps", "not YAML", "tag"]),
        ('camera:\n  fps: !!float "_"', ["line 2", "camera.fps", "not YAML", "tag"]),
        ("camera:\n  fps: !!float " + ":".join("1" * 400), ["line 2", "camera.fps", "not YAML", "tag"]),
        ("camera:\n  roi: [[0, !!float x], [1, 1]]", ["line 2", "camera.roi.0.1", "not YAML", "tag"]),
        ("camera:\n  source: ftp://x/y", ["line 2", "camera.source", "ftp:// is not known", "rtsp"]),
        ("camera:\n  source: ''", ["line 2", "camera.source", "names no camera"]),
        ("camera:\n  source: -1", ["line 2", "camera.source", "from 0"]),
        ("web:\n  port: 0b1", ["line 2", "web.port"]),
        ("web:\n  port: !!int x", ["line 2", "web.port", "whole number"]),
        ("web:\n  ? [a]\n  : 1", ["line 2", "not YAML"]),
    ],
)
def test_an_error_says_where_and_what(text: str, expected: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "my.yaml")
    message = str(raised.value)
    assert message.startswith("my.yaml")
    for part in expected:
        assert part in message
    assert raised.value.exit_code == EXIT_CONFIG


def test_an_address_of_no_known_kind_is_not_repeated() -> None:
    for source in (
        "foo://me:hunter2@host/x",
        "me:hunter2@host://x",
        "hunter2 rtsp://127.0.0.1:9/s",
        "rtsp:/admin:hun://ter2@127.0.0.1:9/s",
        "admin:hunter2@rtsp://127.0.0.1:9/s",
    ):
        with pytest.raises(ConfigError, match="is not known") as raised:
            parse(f"camera:\n  source: '{source}'", "c.yaml")
        assert not [part for part in ("hun", "ter2") if part in str(raised.value)]


def test_the_example_survives_a_program_that_reads_older_yaml() -> None:
    """In YAML 1.1, PyYAML's, the bare words `on` and `off` are truth values."""
    example = EXAMPLE.read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(example), Settings.model_json_schema())
    assert parse(yaml.safe_dump(yaml.safe_load(example)), "c.yaml") == parse(example, "c.yaml")
    bare = yaml.safe_dump(yaml.safe_load("buzzer: {no_mask: {on: 0.5, off: 0.1}}"))
    assert parse(bare, "c.yaml").buzzer.no_mask == Pattern(on=0.5, off=0.1)
    with pytest.raises(ConfigError, match=r"line 3: buzzer\.no_mask\.on: .*99"):
        parse("buzzer:\n  no_mask:\n    true: 99", "c.yaml")
    with pytest.raises(ConfigError, match="on is given twice"):
        parse("buzzer:\n  no_mask: {true: 0.1, on: 0.2}", "c.yaml")


def test_every_error_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse("camera:\n  width: 1\n  fps: -1\nvision:\n  power: x", "c.yaml")
    assert len(str(raised.value).splitlines()) == 3


@pytest.mark.parametrize("host", ["mqtt://entrance:S3cret@10.0.0.1", "entrance:S3cret@10.0.0.1", "S3cret@broker:1"])
def test_a_password_in_the_brokers_name_is_not_repeated(host: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.host.*alone") as raised:
        parse(f"mqtt:\n  host: {host}", "c.yaml")
    assert "S3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("violations: {kinds: []}", "nothing will ever be reported"),
        ("snapshots: {enabled: true, mqtt: false}", "takes the pictures"),
        ("snapshots: {enabled: true}\nmqtt: {enabled: false}", "takes the pictures"),
    ],
)
def test_what_can_hardly_be_wanted_is_allowed_and_told(text: str, doubt: str) -> None:
    (told,) = parse(text, "c.yaml").doubts()
    assert doubt in told


def test_what_is_wanted_raises_no_doubt() -> None:
    assert Settings().doubts() == ()
    assert parse("snapshots: {enabled: true}", "c.yaml").doubts() == ()
    assert parse("snapshots: {enabled: true, mqtt: false, directory: /x}", "c.yaml").doubts() == ()


@pytest.mark.parametrize("host", ["broker", "192.168.1.10", "fd00::1", "::1", "mosquitto.local", "böker.example"])
def test_names_and_addresses_of_every_kind_are_hosts(host: str) -> None:
    assert parse(f'mqtt:\n  host: "{host}"', "c.yaml").mqtt.host == host


def test_home_is_where_it_is_for_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "service: {state_dir: ~/state}\nmqtt: {password_file: ~/pw}\nvision: {models_dir: ~/m}"
    settings = parse(text, "c.yaml")
    assert settings.service.state_dir == tmp_path / "state"
    assert settings.mqtt.password_file == tmp_path / "pw"
    assert settings.vision.models_dir == tmp_path / "m"


def test_a_password_in_the_file_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as raised:
        parse("mqtt:\n  password: hunter2", "c.yaml")
    assert "hunter2" not in str(raised.value)
    assert "/etc/edge-agent/mqtt_password" in str(raised.value)
    assert "password_file" in str(raised.value)


def test_pattern_keys_and_times_are_what_they_look_like() -> None:
    text = "buzzer:\n  no_mask: {on: 0.5, off: 0.1}\nviolations:\n  quiet_hours:\n    - {start: 22:00, end: 07:30}"
    settings = parse(text, "c.yaml")
    assert settings.buzzer.no_mask.on == 0.5
    assert settings.violations.quiet_hours[0].start == time(22, 0)
    assert settings.violations.quiet_hours[0].end == time(7, 30)


@pytest.mark.parametrize(
    "written", ["22", "2200", "79200.5", "22:00Z", "22:00+01:00", "24:00", "22:60", "22.00", "true", "[22, 0]", ""]
)
def test_a_time_that_could_mean_another_is_refused(written: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"violations:\n  quiet_hours:\n    - start: {written}\n      end: 07:00", "c.yaml")
    message = str(raised.value)
    assert "line 3" in message and "violations.quiet_hours.0.start" in message
    assert 'hours and minutes, as "22:00"' in message


def test_a_time_may_have_seconds_and_the_schema_knows_its_form() -> None:
    text = "violations:\n  quiet_hours: [{start: '22:00:30', end: 07:00:59}]"
    hours = parse(text, "c.yaml").violations.quiet_hours[0]
    assert (hours.start, hours.end) == (time(22, 0, 30), time(7, 0, 59))
    schema = QuietHours.model_json_schema()["properties"]["start"]
    assert schema["type"] == "string" and "description" in schema
    assert re.search(schema["pattern"], "22:00") and not re.search(schema["pattern"], "22:00Z")


@pytest.mark.parametrize(
    ("written", "pin"), [("017", 17), ("0o17", 15), ("0x11", 17), ("+5", 5), ("08", 8), ("'17'", 17)]
)
def test_whole_numbers_are_read_as_yaml_1_2_reads_them(written: str, pin: int) -> None:
    assert parse(f"buzzer:\n  pin: {written}", "c.yaml").buzzer.pin == pin


def test_a_leading_nought_of_a_port_is_no_octal() -> None:
    assert parse("mqtt:\n  port: 01883", "c.yaml").mqtt.port == 1883


@pytest.mark.parametrize("written", ["-0x1", "0b1", "-0o7", "9" * 5000])
def test_what_is_no_whole_number_in_yaml_1_2_names_its_line(written: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml, line 2"):
        parse(f"buzzer:\n  pin: {written}", "c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "camera: {source: 'rtsp://admin:hunter2@10.0.0.5/s', zoom: {a: 1}}\nmqtt: {tls: {cert_file: a}}",
        "camera:\n  source: rtsp://admin:hunter2@10.0.0.5/s\n  reopen_min: 40",
        "camera:\n  width: rtsp://admin:hunter2@10.0.0.5/s",
        "camera:\n  source: [rtsp://admin:hunter2@10.0.0.5/s]",
        "camera:\n  rtsp://admin:hunter2@10.0.0.5/s: 1\n  rtsp://admin:hunter2@10.0.0.5/t: 1",
        "rtsp://admin:hunter2@10.0.0.5/s: 1\nrtsp://admin:hunter2@10.0.0.5/s: 1",
        "camera:\n  - source: rtsp://admin:hunter2@10.0.0.5/s",
        "camera: rtsp://admin:hunter2@10.0.0.5/s",
        "- rtsp://admin:hunter2@10.0.0.5/s",
        "rtsp://admin:hunter2@10.0.0.5/s",
        "mqtt:\n  password: !!int hunter2",
        "mqtt:\n  password: !!float hunter2",
        "mqtt:\n  password: !!float {hunter2: 1}",
    ],
)
def test_an_error_repeats_no_section_and_no_address(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "c.yaml")
    assert "hunter2" not in str(raised.value)


def sections(model: type[Section], *path: str) -> Iterator[tuple[str, ...]]:
    """The way to every section in `model`, however deep."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield (*path, name)
            yield from sections(field.annotation, *path, name)


ALL_SECTIONS = list(sections(Settings))


@pytest.mark.parametrize("path", ALL_SECTIONS, ids=".".join)
def test_a_section_without_lines_means_its_defaults(path: tuple[str, ...]) -> None:
    """As it is left when all its lines are commented out."""
    text = "\n".join(f"{'  ' * depth}{name}:" for depth, name in enumerate(path))
    assert parse(text, "c.yaml") == Settings()


@pytest.mark.parametrize("text", ["violations:\n  quiet_hours:", "camera:\n  roi:"])
def test_a_list_without_lines_is_empty(text: str) -> None:
    assert parse(text, "c.yaml") == Settings()


def test_an_empty_file_means_the_defaults() -> None:
    assert {("vision", "gender"), ("mqtt", "discovery"), ("buzzer", "no_mask")} <= set(ALL_SECTIONS)
    assert parse("", "c.yaml") == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vision:\n  gender:\n  face:\n    min_size: x", ["line 4", "vision.face.min_size", "'x'"]),
        ("vision:\n  gander:", ["line 2", "vision.gander", "unknown key", "gender"]),
        ("vision:\n  gender: 3", ["line 2", "vision.gender", "found 3"]),
        ("camera:\n  width:", ["line 2", "camera.width", "integer"]),
        ("violations:\n  kinds:", ["line 2", "violations.kinds", "tuple"]),
        ("violations:\n  quiet_hours:\n    -", ["line 3", "violations.quiet_hours.0"]),
    ],
)
def test_other_empty_lines_and_those_beside_them_are_judged_as_ever(text: str, expected: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "c.yaml")
    for part in expected:
        assert part in str(raised.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="can't be read"):
        load(binary)


@given(
    st.sampled_from(["binary", "bool", "float", "int", "map", "null", "omap", "seq", "set", "str", "timestamp"]),
    st.text("0123456789-+_:.,eEx [{}]aTZ'\"", max_size=12),
)
def test_no_tag_makes_anything_but_settings_or_a_clear_error(tag: str, value: str) -> None:
    try:
        parse(f"camera:\n  fps: !!{tag} {value}", "c.yaml")
    except ConfigError as error:
        assert str(error).startswith("c.yaml")


@given(st.text(max_size=200))
def test_no_text_makes_anything_but_settings_or_a_clear_error(text: str) -> None:
    try:
        parse(text, "c.yaml")
    except ConfigError as error:
        assert str(error).startswith("c.yaml")
