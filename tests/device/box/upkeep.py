"""Install, upgrade, failed upgrade, reboot, uninstall; at native speed, in a container without GPIO and camera."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import device
from device import UNIT, Broker, show
from steps import RebootStep, run, sh, wait_for

SETTINGS = f"""\
device: {{id: box}}
camera: {{source: /srv/job/project/clip.mp4, width: 640, height: 480, fps: 10}}
vision: {{{device.MODELS_DIR}gender: {{enabled: false}}}}
violations: {{cooldown: 0}}
buzzer: {{driver: simulated}}
mqtt: {{host: 127.0.0.1, username: edge, reconnect_max: 2, status_interval: 2}}
"""
CURRENT = Path("/opt/edge-agent/current")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
broker = Broker()


def venv() -> str:
    return os.path.realpath(CURRENT)


def version() -> str:
    return sh("edge-agent", "--version")


def dry_run() -> None:
    """install.sh --dry-run changes nothing"""
    said = device.install("--dry-run")
    assert "would run" in said, said
    assert not device.leftovers(), device.leftovers()


def install() -> None:
    """install from the wheelhouse, without network"""
    device.install("--no-start")
    device.CONFIG.write_text(SETTINGS)
    broker.start()
    mode = Path("/etc/edge-agent/mqtt_password").stat().st_mode & 0o777
    assert mode == 0o600, f"the password file has mode {mode:o}"
    assert {"video", "gpio"} <= set(sh("id", "-Gn", "edge-agent").split())


def check() -> None:
    """edge-agent check names each thing"""
    said = sh("sh", "-c", f"edge-agent check -c {device.CONFIG} --json 2>/dev/null || true")
    found = {check["name"]: check for check in json.loads(said)["checks"]}
    assert {"disk", "camera", "broker"} <= set(found), said
    assert found["broker"]["status"] == "ok", f"with the installed password: {found['broker']}"


def ready() -> None:
    """install again: nothing is built twice, settings kept, enabled and READY"""
    before = venv()
    said = device.install()
    assert "installed already" in said, said
    assert venv() == before and device.CONFIG.read_text() == SETTINGS
    assert device.active() and sh("systemctl", "is-enabled", UNIT) == "enabled"


def violation() -> None:
    """a bare face in a video: the event reaches mosquitto"""
    wait_for("an event", lambda: broker.violations(), 60)
    event = broker.violations()[0]
    assert event["kind"] == "no_mask" and event["schema"] == 1 and event["replayed"] is False, event


def clock() -> None:
    """a clock that a time service has set is believed, also within the unit's sandbox"""
    flag = Path("/run/systemd/timesync/synchronized")
    flag.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for set_by_service, change in ((True, flag.touch), (False, flag.unlink)):
        change()
        wait_for(f"clock_synced {set_by_service}", lambda: broker.status()["clock_synced"] is set_by_service, 30)  # noqa: B023


def memory() -> None:
    """memory stays below the unit's limit for a board with 512 MB"""
    status = Path(f"/proc/{device.pid()}/status").read_text()
    peak = next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"         peak resident set {peak} MiB", flush=True)
    assert peak < int(show("MemoryMax")) >> 20, f"{peak} MiB"


def exposure() -> None:
    """systemd-analyze security on the installed unit: 1.5 or less"""
    line = sh("systemd-analyze", "security", "--offline=true", UNIT).splitlines()[-1]
    assert float(line.split(":")[1].split()[0]) <= 1.5, line


def broker_killed() -> None:
    """the broker is killed: the event waits on the disk and comes, marked as replayed"""
    broker.outage(90)


def stops() -> None:
    """SIGTERM: gone within 3 s with exit 0, `offline` at the broker"""
    mark, begin = broker.mark(), time.monotonic()
    sh("systemctl", "stop", UNIT)
    took = time.monotonic() - begin
    assert show("Result") == "success" and show("ExecMainStatus") == "0", device.journal(lines=5)
    assert took < 3.5, f"{took:.1f} s"
    wait_for("offline", lambda: "offline" in broker.messages("/availability", mark), 5)


def killed() -> None:
    """SIGKILL: started again, READY"""
    sh("systemctl", "start", UNIT)
    before, count = device.pid(), device.restarts()
    os.kill(before, signal.SIGKILL)
    wait_for("a restart", lambda: device.restarts() == count + 1 and device.active(), 60)


def hung() -> None:
    """SIGSTOP: the watchdog of 30 s bites, READY again"""
    before, count = device.pid(), device.restarts()
    os.kill(before, signal.SIGSTOP)
    wait_for("a restart", lambda: device.restarts() == count + 1 and device.active(), 90)


def instance() -> None:
    """a second instance beside the first"""
    second = SETTINGS.replace("id: box", "id: second")
    Path("/etc/edge-agent/back.yaml").write_text(second)
    unit = "edge-agent@back.service"
    sh("systemctl", "start", unit)
    assert device.active(unit) and device.active()
    assert Path("/var/lib/edge-agent/back").is_dir()
    wait_for("online", lambda: "online" in broker.messages("second/availability"), 20)
    sh("systemctl", "stop", unit)


def bad_configuration() -> None:
    """a wrong setting: exit 78, and systemd does not try again"""
    device.CONFIG.write_text(SETTINGS + "nonsense: 1\n")
    sh("systemctl", "restart", UNIT, check=False)
    wait_for("failed", lambda: show("ActiveState") == "failed", 30)
    assert show("ExecMainStatus") == "78", show("ExecMainStatus")
    assert "nonsense" in device.journal(lines=20), "the journal does not name the key"
    assert "Traceback" not in device.journal(lines=20)
    device.CONFIG.write_text(SETTINGS)
    sh("systemctl", "reset-failed", UNIT)
    sh("systemctl", "start", UNIT)


def reboot() -> None:
    """reboot"""
    Path("/var/tmp/boot").write_text(BOOT_ID.read_text())
    raise RebootStep


def booted() -> None:
    """after the reboot: READY by itself, events come"""
    assert BOOT_ID.read_text() != Path("/var/tmp/boot").read_text(), "it did not reboot"
    wait_for("READY", device.active, 60)
    broker.up()
    mark = broker.mark()
    wait_for("an event", lambda: broker.violations(mark), 60)


def upgrade() -> None:
    """upgrade to a newer version: READY, the old venv kept"""
    before = venv()
    device.install("upgrade", wheels="newer")
    assert version() == "edge-agent 99.0.0", version()
    assert os.path.realpath("/opt/edge-agent/previous") == before and device.active()
    assert device.CONFIG.read_text() == SETTINGS


def failed_upgrade() -> None:
    """an upgrade that is never READY: the old version is in force again by itself"""
    before = venv()
    said = device.install("upgrade", "--ready", "15", wheels="broken", check=False)
    assert venv() == before and device.active(), said
    assert version() == "edge-agent 99.0.0", version()
    assert len(list(Path("/opt/edge-agent/venvs").iterdir())) == 2, "the failed venv is still there"


def failed_upgrade_when_down() -> None:
    """the same while the service is stopped: the old version again, and up"""
    before = venv()
    sh("systemctl", "stop", UNIT)
    said = device.install("upgrade", "--ready", "15", wheels="broken", check=False)
    assert venv() == before and device.active(), said
    assert len(list(Path("/opt/edge-agent/venvs").iterdir())) == 2, "the failed venv is still there"


def interrupted_upgrade() -> None:
    """an upgrade whose terminal goes away while it waits: the old version is in force again"""
    before = venv()
    script, wheels = str(device.INSTALL / "install.sh"), str(device.INSTALL / "broken")
    process = subprocess.Popen(["bash", script, "upgrade", "--wheelhouse", wheels], stdin=subprocess.DEVNULL)
    wait_for("the new version in force", lambda: venv() != before, 300)
    wait_for("its start", lambda: show("ActiveState") == "activating", 30)
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 1
    assert venv() == before and device.active()


def disabled() -> None:
    """an upgrade leaves a service disabled that its owner disabled"""
    sh("systemctl", "disable", "--now", UNIT)
    device.install("upgrade", wheels="newer")
    assert not device.active() and sh("systemctl", "is-enabled", UNIT, check=False) == "disabled"
    sh("systemctl", "enable", "--now", UNIT)


def roll_back() -> None:
    """install.sh rollback: the version before"""
    device.install("rollback")
    assert version() != "edge-agent 99.0.0" and device.active()


def uninstall_keeping() -> None:
    """uninstall.sh --keep-config --keep-state keeps just that"""
    device.install("--keep-config", "--keep-state", "--yes", script="uninstall.sh")
    assert sorted(device.leftovers()) == ["/etc/edge-agent", "/var/lib/edge-agent"], device.leftovers()
    device.install("--no-start")
    assert device.CONFIG.read_text() == SETTINGS


def uninstall() -> None:
    """uninstall.sh leaves nothing"""
    device.install("--yes", script="uninstall.sh")
    assert not device.leftovers(), device.leftovers()
    for database in ("passwd", "group"):
        assert not sh("getent", database, "edge-agent", check=False), database


STEPS = [
    dry_run, install, check, ready, violation, clock, memory, exposure, broker_killed, stops, killed, hung,
    instance, bad_configuration, reboot, booted, upgrade, failed_upgrade, failed_upgrade_when_down,
    interrupted_upgrade, roll_back, disabled, uninstall_keeping, uninstall,
]  # fmt: skip

if __name__ == "__main__":
    Path("/out").mkdir(exist_ok=True)
    raise SystemExit(run(STEPS, device.tell_all))
