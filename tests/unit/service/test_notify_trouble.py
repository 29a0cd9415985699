"""A line for a person arrives whole, and a systemd that can't be reached is told of once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge_agent.service.notify import Notifier


def listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(5)
    return sock


def test_a_status_of_two_full_sentences_arrives_whole_and_a_novel_does_not(tmp_path: Path) -> None:
    with listen(tmp_path / "notify") as systemd:
        notifier = Notifier(str(tmp_path / "notify"))
        sentence = "degraded: no connection to the broker: events wait in the outbox (connection refused)"
        notifier.status(f"{sentence}; {sentence}")
        assert systemd.recv(4096).decode() == f"STATUS={sentence}; {sentence}"
        notifier.status("x" * 3000)
        assert len(systemd.recv(4096)) < 300


def test_each_loss_of_systemd_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "notify"
    notifier = Notifier(str(path))
    for times in (1, 2):
        notifier.status("ok")
        notifier.status("ok")
        assert len(caplog.records) == times
        with listen(path):
            notifier.status("ok")
        path.unlink()
    assert "cannot reach systemd" in caplog.text
