"""The command line: help that teaches, exit codes, and no traceback for anybody."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edge_agent.cli import main
from edge_agent.config import Settings
from edge_agent.vision.store import bundled_directory

COMMANDS = ("run", "demo", "check", "detect", "bench", "cameras", "models", "schema", "purge-discovery")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)
    assert "78" in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 100


def test_help_loads_no_network_library() -> None:
    script = "import sys; from edge_agent.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    script += "assert not {'cv2', 'numpy', 'pydantic', 'paho', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_python_dash_m_is_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "edge_agent", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("edge-agent ")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["detect"], ["bench", "--frames", "x"]])
def test_wrong_options_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_schema_of_the_configuration_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    import jsonschema
    import referencing

    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(Settings.model_fields)
    jsonschema.validate({"camera": {"source": 0}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"camera": {"widht": 0}}, schema)
    assert {"status", "violation"} <= set(schema["payloads"])
    whole = referencing.Registry().with_resource("urn:whole", referencing.Resource.from_contents(schema))
    status = jsonschema.Draft202012Validator({"$ref": "urn:whole#/payloads/status"}, registry=whole)
    lacking = {error.message.split("'")[1] for error in status.iter_errors({"frames": {}})}
    assert {"schema", "version", "outbox", "captured"} <= lacking


def test_one_schema_by_name_and_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "violation"]) == 0
    assert "event_id" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["schema", "nonsense"]) == 2
    assert "violation" in capsys.readouterr().err


def test_models_are_listed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "mask_detector.tflite" in capsys.readouterr().out, "in a pipe nothing is cut"
    assert main(["models", "verify"]) == 0


@pytest.mark.parametrize("action", ["list", "verify", "fetch"])
def test_models_of_a_folder_that_is_not_there_exit_1(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--dir", str(tmp_path / "none"), action]) == 1
    assert "manifest.yaml" in capsys.readouterr().err


def test_an_altered_model_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_agent.vision.store import bundled_directory

    for file in bundled_directory().iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "mask_detector.tflite").write_bytes(b"truncated")
    assert main(["models", "--dir", str(tmp_path), "verify"]) == 1
    assert "mask_detector.tflite" in capsys.readouterr().err
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"vision": {"models_dir": str(tmp_path)}, "camera": {"source": "test"}}))
    assert main(["check", "--json", "-c", str(config)]) == 78
    checks = {line["name"]: line for line in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["models"]["status"] == "fail"
    assert "mask_detector.tflite" in checks["models"]["text"]
    assert checks["camera"]["status"] == "ok"


@pytest.mark.parametrize("command", [["schema"], ["models", "list"], ["cameras"]])
def test_a_full_disk_behind_stdout_is_a_line_and_no_traceback(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent", *command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1:] == ["edge-agent: the output can't be written: No space left on device"]
    assert "Traceback" not in done.stderr


def test_a_failing_disk_elsewhere_is_not_laid_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError, match="Input/output"):
        main(["schema"])
    assert "output can't" not in capsys.readouterr().err


def test_without_stdout_a_command_does_its_work_all_the_same() -> None:
    closed = f"{sys.executable} -m edge_agent schema >&-"
    done = subprocess.run(["sh", "-c", closed], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1"])
def test_a_demo_of_no_length_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", f"--seconds={seconds}"]) == 2
    assert "--seconds" in capsys.readouterr().err


def test_check_looks_whether_the_live_page_can_listen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiohttp")
    config = tmp_path / "config.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = []
        for host in ("127.0.0.1", "192.0.2.1", ".."):  # taken, none of this machine (RFC 5737), and no name
            settings = {
                "camera": {"source": "test"},
                "mqtt": {"enabled": False},
                "web": {"enabled": True, "host": host, "port": port},
            }
            config.write_text(yaml.safe_dump(settings))
            main(["check", "--json", "-c", str(config)])
            checks = {line["name"]: line for line in json.loads(capsys.readouterr().out)["checks"]}
            found.append((checks["live page"]["status"], checks["live page"]["text"]))
    assert [status for status, _ in found] == ["warn", "warn", "warn"]
    assert "in use" in found[0][1]
    assert "192.0.2.1" in found[1][1]


def test_check_says_what_to_do_about_a_wrong_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("camera:\n  fps: fast\n")
    assert main(["check", "--json", "-c", str(config)]) == 78
    (line,) = json.loads(capsys.readouterr().out)["checks"]
    assert "line 2" in line["text"] and line["hint"]


def test_check_fails_without_broker_and_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    settings = {
        "camera": {"source": str(tmp_path / "none.mp4")},
        "mqtt": {"host": "127.0.0.1", "port": 9, "connect_timeout": 1},
        "service": {"state_dir": str(tmp_path)},
        "buzzer": {"driver": "simulated"},
    }
    config.write_text(yaml.safe_dump(settings))
    assert main(["check", "--json", "-c", str(config)]) == 1
    checks = {line["name"]: line for line in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["camera"]["status"] == checks["broker"]["status"] == "fail"
    assert checks["broker"]["hint"]
    assert checks["buzzer"]["status"] == "ok"


def test_a_thread_that_hangs_in_a_driver_does_not_change_the_exit_code() -> None:
    code = """
import atexit, sys, threading, time
from edge_agent import cli
def main():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    print("said before")
    return 78
class Late:
    def __del__(self):
        print("the interpreter was taken down")
late = Late()
atexit.register(print, "silenced")
cli.main = main
cli.entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 78
    assert done.stdout.splitlines() == ["said before", "silenced"]


def test_a_long_name_is_whole_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / f"{'a' * 120}.yaml"
    config.write_text("camera:\n  fps: fast\n")
    assert main(["check", "-c", str(config)]) == 78
    (line,) = capsys.readouterr().out.splitlines()
    assert f"{config}, line 2: camera.fps" in line and "check again" in line


def test_a_pipe_that_takes_colours_is_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "models", "list"],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "60"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "mask_detector.tflite" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_signs_is_no_traceback(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for command in (["schema"], ["models", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent", *command], env=environment, capture_output=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_stop_while_it_starts_is_a_clean_end(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    os.mkfifo(config)
    process = subprocess.Popen([sys.executable, "-m", "edge_agent", "run", "-c", str(config)])
    try:
        with config.open("w") as settings:  # opens when it is being read
            process.send_signal(signal.SIGTERM)
            settings.write(yaml.safe_dump({
                "camera": {"source": "test"},
                "mqtt": {"enabled": False},
                "buzzer": {"driver": "simulated"},
                "service": {"state_dir": str(tmp_path / "state")},
            }))  # fmt: skip
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails: Linux")
def test_a_disk_that_fails_is_no_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The unit does not start again after a 78, and the card may give the file at the next boot."""
    failing = Path("/proc/self/mem")  # EIO
    assert main(["run", "-c", str(failing)]) == 1
    assert "can't be read" in capsys.readouterr().err
    models = tmp_path / "models"
    shutil.copytree(bundled_directory(), models)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"vision": {"models_dir": str(models)}, "mqtt": {"enabled": False}}))
    for name in ("mask_detector.tflite", "manifest.yaml"):
        (models / name).unlink()
        (models / name).symlink_to(failing)
        assert main(["run", "-c", str(config)]) == 1
        assert f"{name}: " in capsys.readouterr().err
        assert main(["check", "-c", str(config)]) == 1
    assert main(["run", "-c", str(tmp_path / "none.yaml")]) == 78
