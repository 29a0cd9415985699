"""The Debian package: installed, the service READY, removed, purged; in a container, without network."""

from __future__ import annotations

from pathlib import Path

import device
from device import UNIT, Broker
from steps import run, sh, wait_for
from upkeep import SETTINGS

broker = Broker()


def install() -> None:
    """apt install of the package alone: user, units and settings are there, READY and enabled"""
    (package,) = device.INSTALL.glob("edge-agent_*.deb")
    sh("apt-get", "install", "-y", "--no-install-recommends", str(package), timeout=600)
    assert device.active() and sh("systemctl", "is-enabled", UNIT) == "enabled", device.journal()
    extras = Path("/usr/share/edge-agent/wheels/extras").read_text()
    assert Path("/opt/edge-agent/current/extras").read_text() == extras
    assert "edge-agent" in sh("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}", "edge-agent")


def violation() -> None:
    """with settings of one's own: an event reaches mosquitto"""
    broker.start()
    device.CONFIG.write_text(SETTINGS)
    sh("systemctl", "restart", UNIT)
    wait_for("an event", lambda: broker.violations(), 60)


def again() -> None:
    """apt install --reinstall keeps the settings, READY again"""
    (package,) = device.INSTALL.glob("edge-agent_*.deb")
    sh("apt-get", "install", "-y", "--reinstall", str(package), timeout=600)
    assert device.CONFIG.read_text() == SETTINGS
    assert device.active(), device.journal()


def remove() -> None:
    """apt remove keeps settings and events, nothing else"""
    sh("apt-get", "remove", "-y", "edge-agent", timeout=300)
    # dpkg's own notes on a package whose settings are kept
    left = sorted(path for path in device.leftovers() if not path.startswith("/var/lib/dpkg/"))
    assert left == ["/etc/edge-agent", "/var/lib/edge-agent"], left
    assert not Path("/opt/edge-agent").exists()


def purge() -> None:
    """apt purge leaves nothing"""
    sh("apt-get", "purge", "-y", "edge-agent", timeout=300)
    assert not device.leftovers(), device.leftovers()
    for database in ("passwd", "group"):
        assert not sh("getent", database, "edge-agent", check=False), database


STEPS = [install, violation, again, remove, purge]

if __name__ == "__main__":
    Path("/out").mkdir(exist_ok=True)
    raise SystemExit(run(STEPS, device.tell_all))
