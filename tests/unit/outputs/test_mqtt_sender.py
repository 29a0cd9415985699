"""The sender: what goes out when, and what becomes of what the broker does not take."""

from __future__ import annotations

import json
import math
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from violations import make_notice

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.messages import Draft
from edge_agent.outputs.mqtt.outbox import DISK_RETRY, Outbox
from edge_agent.outputs.mqtt.payloads import ViolationFacts
from edge_agent.outputs.mqtt.sender import PICTURE_TRIES, Sender
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.mqtt.topics import Topics

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)


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
        options = {"window": 4, "replay_rate": 10.0, "refused_retry": 60.0, "ack_timeout": 30.0, **changes}
        self.left: list[str] = []
        self.sender = Sender(
            self.outbox,
            Topics("door"),
            self.wire.publish,
            clock=clock,
            window=int(options["window"]),
            replay_rate=options["replay_rate"],
            refused_retry=options["refused_retry"],
            ack_timeout=options["ack_timeout"],
            give_up=self.left.append,
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


def test_a_connection_without_acknowledgements_is_left_when_their_time_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    assert bench.sender.pump() == math.inf
    bench.append(False)
    assert bench.sender.pump() == pytest.approx(30), "the deadline is no later than the next look"
    bench.seconds += 29
    bench.append(False)
    assert bench.sender.pump() == pytest.approx(1)
    assert not bench.left
    bench.seconds += 1
    assert bench.sender.pump() == math.inf
    assert "does not acknowledge events" in bench.left[0]
    bench.append(False)
    assert bench.sender.pump() == math.inf
    assert (len(bench.left), len(bench.wire.sent)) == (1, 2), "said once, and nothing more is sent"
    bench.sender.disconnected()
    bench.sender.connected()
    bench.sender.pump()
    assert bench.wire.sent[2][1].replace(b'"replayed":true', b'"replayed":false') == bench.wire.sent[0][1]
    assert bench.sender.refusal is not None, "connected again, but nothing was acknowledged yet"
    bench.acknowledge(3)
    assert bench.sender.refusal is None


def test_every_message_has_its_own_time_from_the_answer_before_it_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(*[False] * 4)
    for mid in range(1, 5):
        bench.sender.pump()
        bench.seconds += 29
        bench.acknowledge(mid)
    bench.append(False, False)
    bench.sender.pump()
    assert not bench.left, "slow, but in its time"
    bench.seconds += 20
    bench.acknowledge(6)
    bench.seconds += 10
    bench.sender.pump()
    assert bench.left, "an answer to a later one is none to the first"


def test_a_refusal_after_a_silence_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path, ack_timeout=5.0)
    bench.sender.connected()
    bench.append(False)
    bench.sender.pump()
    bench.seconds += 5
    bench.sender.pump()
    bench.sender.disconnected()
    bench.sender.connected()
    bench.sender.pump()
    bench.acknowledge(2, refusal="Not authorized")
    assert "give this user the right to write" in caplog.text
    assert "Not authorized" in (bench.sender.refusal or "")


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("Not authorized", "give this user the right to write edge_agent/door/violation"),
        ("Quota exceeded", "max_queued_messages"),
        ("Topic name invalid", "device.id"),
        ("Payload format invalid", "allow"),
        ("Unspecified error", "look into the broker's log"),
    ],
)
def test_every_refusal_has_a_remedy_of_its_own(
    refusal: str, remedy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(True, False)
    bench.sender.pump()
    bench.acknowledge(1, 2, refusal=refusal)
    assert remedy in (bench.sender.refusal or "") and refusal in (bench.sender.refusal or "")
    told = [record.message for record in caplog.records]
    assert len(told) == 2 and all(remedy.replace("violation", "") in text for text in told), "picture and event"
    assert ("right to write" in caplog.text) is (refusal == "Not authorized")


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


def test_what_is_no_event_is_counted_and_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path)
    bench.outbox.append([Draft(b'{"schema": 1, "kind": "no_m', 1.0, True)])
    bench.append(False)
    bench.sender.connected()
    bench.sender.pump()
    assert "can't be read" in caplog.text and "its cap" not in caplog.text
    assert len(bench.wire.sent) == 1
    assert (bench.outbox.depth, bench.outbox.dropped) == (1, 1)
    assert "could not be read and were given up: 1" in (bench.outbox.alarm or "")


def test_times_beyond_all_calendars_do_not_hold_up_the_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.outbox.append([Draft(ViolationFacts.from_violation(make_notice(1).violation).to_json(), 1e300, False)])
    bench.append(False)
    bench.sender.connected()
    bench.sender.pump()
    assert (len(bench.wire.sent), bench.outbox.dropped) == (1, 1)


def test_an_event_of_a_later_version_goes_out_after_a_rollback(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    facts = json.loads(ViolationFacts.from_violation(make_notice(7).violation).to_json())
    later = {**facts, "schema": 2, "entrance": "north"}
    bench.outbox.append([Draft(json.dumps(later).encode(), 1.0, True)])
    bench.sender.connected()
    bench.sender.pump()
    ((topic, body),) = bench.wire.sent
    sent = json.loads(body)
    assert (topic, sent["schema"], sent["person"]) == ("violation", 1, 7) and "entrance" not in sent
    assert bench.outbox.alarm is None


def test_what_was_out_of_reach_goes_out_when_the_disk_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Bench(tmp_path)
    before.append(False, False)
    before.outbox.close()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "contents", _locked)
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
        patch.setattr(Store, "contents", _locked)
        bench.outbox.pending(after=2)
        bench.acknowledge(1, 2)
    bench.seconds += DISK_RETRY + 1
    bench.outbox.tend()
    bench.sender.pump()
    seqs = [int(body.split(b'"seq":')[1].split(b",")[0]) for _, body in bench.wire.sent]
    assert seqs == [1, 2, 3]


def test_the_time_of_the_own_disk_is_not_the_brokers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(False, False)
    bench.sender.pump()
    delivered = bench.outbox.delivered

    def slowly(*seqs: int) -> None:
        bench.seconds += 61
        delivered(*seqs)

    monkeypatch.setattr(bench.outbox, "delivered", slowly)
    bench.acknowledge(1)
    assert bench.sender.pump() == pytest.approx(30)
    assert not bench.left


def test_a_broker_is_not_given_up_while_its_answer_may_wait(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sender.connected()
    bench.append(False)
    looked_at = bench.seconds
    bench.sender.pump(looked_at)
    bench.seconds += 61  # the disk hangs, and the answer comes meanwhile
    assert bench.sender.pump(looked_at) <= 0, "look for it at once"
    assert not bench.left
    bench.sender.pump(bench.seconds)
    assert bench.left, "there was none"
