"""The device as its owner sees it: systemctl, the journal, the broker. Used by the scenarios inside the box."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from steps import OUT, sh, wait_for

UNIT = "edge-agent.service"
CONFIG = Path("/etc/edge-agent/config.yaml")
PASSWORD = "wachtwoord"
PIN = "17"
INSTALL = Path("/srv/job/project")
MODELS = INSTALL / "models"
"""Models to try instead of those in the wheel: there only if script/test-device was told so."""
MODELS_DIR = f"models_dir: {MODELS}, " if MODELS.exists() else ""


def show(key: str, unit: str = UNIT) -> str:
    """A property of a unit."""
    return sh("systemctl", "show", unit, "-p", key, "--value")


def pid() -> int:
    return int(show("MainPID"))


def restarts() -> int:
    return int(show("NRestarts"))


def active(unit: str = UNIT) -> bool:
    return show("ActiveState", unit) == "active"


def journal(unit: str = UNIT, lines: int = 40) -> str:
    return sh("journalctl", "-u", unit, "-n", str(lines), "--no-pager", "-o", "short-monotonic", check=False)


def tell_all() -> None:
    """What a person would look at after a failure."""
    print(sh("systemctl", "status", UNIT, "--no-pager", "-l", "-n", "0", check=False))
    print(journal(lines=60), flush=True)


def install(*arguments: str, script: str = "install.sh", check: bool = True, wheels: str = "") -> str:
    """Run install.sh (or uninstall.sh) from the wheelhouse that was copied to the device."""
    extra = ("--wheelhouse", str(INSTALL / wheels)) if wheels else ()
    return sh("bash", str(INSTALL / script), *arguments, *extra, check=check, timeout=1500)


def drop_in(name: str, text: str, unit: str = UNIT) -> None:
    folder = Path("/etc/systemd/system") / f"{unit}.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.conf").write_text(text)
    sh("systemctl", "daemon-reload")


class Broker:
    """mosquitto with a password, and a subscriber whose session outlives the broker."""

    def __init__(self) -> None:
        self.log = OUT / "mqtt.log"

    def start(self) -> None:
        """Configure and start both."""
        conf = Path("/etc/mosquitto/conf.d/box.conf")
        # every change is saved at once: the subscriber's session is then there after a kill
        conf.write_text(
            "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/box.passwd\n"
            "autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 10000\n"
        )
        Path("/etc/mosquitto/box.passwd").touch()
        sh("mosquitto_passwd", "-b", "/etc/mosquitto/box.passwd", "edge", PASSWORD)
        shutil.chown("/etc/mosquitto/box.passwd", "mosquitto", "mosquitto")
        Path("/etc/edge-agent/mqtt_password").write_text(PASSWORD + "\n")
        self.up()

    def up(self) -> None:
        sh("systemctl", "reset-failed", "mosquitto", check=False)
        sh("systemctl", "start", "mosquitto")
        if sh("systemctl", "is-active", "box-sub", check=False) != "active":
            # %U: seconds, %r: retained, %t: topic, %p: payload
            listen = (
                f"until mosquitto_sub -c -i box -q 1 -u edge -P {PASSWORD} -t '#' -F '%U %r %t %p'"
                f" >>{self.log}; do sleep 0.2; done"
            )
            sh("systemd-run", "-q", "--unit=box-sub", "sh", "-c", listen)
        wait_for("the subscriber hears the broker", self._hears, 60)

    def _hears(self) -> bool:
        word = f"hello {time.monotonic()}"
        sh("mosquitto_pub", "-u", "edge", "-P", PASSWORD, "-t", "box/hello", "-m", word, check=False)
        time.sleep(0.3)
        return any(word in line for line in self._lines())

    def kill(self) -> None:
        """As when the power of the broker's machine fails."""
        sh("systemctl", "kill", "-s", "KILL", "mosquitto")
        sh("systemctl", "stop", "mosquitto", check=False)

    def outage(self, seconds: float) -> None:
        """Kill the broker, let an event come to wait on the device, bring the broker back, see the event arrive."""
        before, seen = pid(), self._told()
        self.kill()
        count = _violations_logged()
        # the status line alone may still tell of an event that was on its way when the broker died
        wait_for("an event waits", lambda: _violations_logged() > count and waiting(), seconds)
        mark = self.mark()
        self.up()
        wait_for(
            "an event of the outage, marked as replayed", lambda: self._told(mark, replayed=True) - seen, seconds
        )
        wait_for("nothing waits any more", lambda: waiting() == 0, seconds)
        assert pid() == before, "restarted"

    def _told(self, after: int = 0, *, replayed: bool | None = None) -> set[tuple[object, str]]:
        """(event_id, type) of what the broker was told."""
        return {
            (event["event_id"], type)
            for type in ("started", "ended")
            for event in self.violations(after, type)
            if replayed is None or event["replayed"] is replayed
        }

    def _lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def mark(self) -> int:
        """A place in the log; what comes after it can be asked for."""
        return len(self._lines())

    def messages(self, topic: str, after: int = 0) -> list[str]:
        """Payloads on topics that end so, in order of arrival."""
        found = []
        for line in self._lines()[after:]:
            _, _, name, payload = [*line.split(" ", 3), "", "", ""][:4]
            if name.endswith(topic):
                found.append(payload)
        return found

    def violations(self, after: int = 0, type: str = "started") -> list[dict[str, object]]:
        events = [json.loads(text) for text in self.messages("/violation", after)]
        return [event for event in events if event["type"] == type]

    def status(self) -> dict[str, object]:
        """The latest status message."""
        texts = self.messages("/status")
        return json.loads(texts[-1]) if texts else {}


def waiting() -> int:
    """Messages in the outbox by the status line: "…, 3 waiting for the broker"."""
    words = show("StatusText").split(" waiting for the broker")[0].split()
    return int(words[-1]) if words and words[-1].isdigit() else 0


def _violations_logged() -> int:
    return journal(lines=100_000).count(": violation ")


def beeps(trace: Path) -> list[tuple[float, float]]:
    """(moment, seconds high) of every finished pulse in a `box-gpio trace` file."""
    pulses, up = [], None
    for line in trace.read_text().splitlines():
        moment, _, level = line.split()
        if level == "1":
            up = float(moment)
        elif up is not None:
            pulses.append((up, float(moment) - up))
            up = None
    return pulses


def leftovers() -> list[str]:
    """Everything on the root file system that bears the service's name."""
    found = subprocess.run(
        ["find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/srv", "-o", "-path", "/out", ")", "-prune",
         "-o", "-name", "*edge-agent*", "-print"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.split()
