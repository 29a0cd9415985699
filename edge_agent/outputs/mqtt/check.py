"""What the commands `check` and `purge-discovery` have to do with the broker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from edge_agent.config import DeviceSettings, MqttSettings, SnapshotSettings
from edge_agent.outputs.mqtt.commands import CHECK
from edge_agent.outputs.mqtt.discovery import Ranges, discovery_message
from edge_agent.outputs.mqtt.paho_client import publish_size
from edge_agent.outputs.mqtt.talk import BrokerError, Talk, converse
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.mqtt.troubles import Trouble, remedy_of_untaken
from edge_agent.types import CheckLine

LONGEST_VIOLATION = 480
"""Bytes that no violation's JSON exceeds."""


@dataclass(slots=True)
class _Answers:
    """What the broker said to what was tried."""

    version: str
    limit: int | None
    """Bytes of the longest packet that it takes; None: it names none."""
    taken: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """By topic: the name of the reason code."""
    deaf: list[str] = field(default_factory=list)
    """Topics of commands to which it may not subscribe."""
    sent: set[str] = field(default_factory=set)
    """Other topics of commands on which something was sent, and taken."""
    heard: set[str] = field(default_factory=set)
    """Those on which it came back."""

    @property
    def told(self) -> bool:
        """Whether a refusal would have been said (MQTT 5, 3.4.2.1; the PUBACK of 3.1.1 knows none)."""
        return self.version == "5"


class _Probe:
    """What is to be tried with one broker, and what its answers mean."""

    def __init__(
        self, settings: MqttSettings, device: DeviceSettings, *, snapshots: SnapshotSettings, ranges: Ranges
    ) -> None:
        self.topics = Topics(device.id, settings.discovery.prefix)
        self._discovery: bytes | None = None
        sends_pictures = snapshots.enabled and snapshots.mqtt
        if settings.discovery.enabled:
            self._discovery = discovery_message(self.topics, device, snapshots=sends_pictures, ranges=ranges)
        self._event_size = publish_size(self.topics.violation, LONGEST_VIOLATION)
        self._discovery_size = publish_size(self.topics.discovery, len(self._discovery or b""))
        self._picture_size = publish_size(self.topics.snapshot, snapshots.max_bytes) if sends_pictures else 0

    def ask(self, talk: Talk) -> _Answers:
        """Subscribe to the commands, and publish what does no harm.

        Availability, status, states and events are not tried: whatever were said there, somebody would believe it.
        The description is the service's own and told unretained: Home Assistant takes it for what it has already,
        or for the one that the service will tell. An empty one would remove the device there.
        """
        answers = _Answers(talk.version, talk.longest_packet)
        commands = self.topics.commands()
        codes = talk.subscribe(commands)
        answers.deaf += [topic for topic, code in zip(commands, codes, strict=False) if code.is_failure]
        if answers.limit is not None and answers.limit < self._event_size:
            return answers
        self._try(talk, answers, self.topics.check, b"")
        if self._discovery is not None and answers.told and not self._is_beyond(answers.limit):
            self._try(talk, answers, self.topics.discovery, self._discovery)
        try:
            for topic in self.topics.switch_sets():
                if topic not in answers.deaf and not talk.publish(topic, CHECK).is_failure:
                    answers.sent.add(topic)
            if answers.told:  # else what does not come back may just not have been taken
                answers.heard = talk.hear(answers.sent)
            talk.unsubscribe(commands)  # what is retained there has come by then
        except BrokerError as error:
            if error.trouble == talk.oversize:
                raise
            # some brokers end the connection where others answer a refusal; the service publishes nothing there
            answers.sent.clear()
        return answers

    def _try(self, talk: Talk, answers: _Answers, topic: str, payload: bytes) -> None:
        code = talk.publish(topic, payload)
        if code.is_failure:
            answers.refused[topic] = code.getName()
        else:
            answers.taken.append(topic)

    def _is_beyond(self, limit: int | None) -> bool:
        """Whether the description is longer than what the broker takes."""
        return self._discovery is not None and limit is not None and self._discovery_size > limit

    def failures(self, answers: _Answers) -> list[Trouble]:
        """What keeps the service from its work."""
        topics, found = self.topics, []
        if answers.deaf:
            remedy = f"give this user the right to read {', '.join(answers.deaf)}"
            found.append(Trouble("it may not listen to commands", remedy))
        lost = [topic for topic in topics.switch_sets() if topic in answers.sent - answers.heard]
        if lost and answers.told:
            how_many = "not all"
            if len(lost) == len(topics.switch_sets()):
                how_many, lost = "no", list(topics.commands())
            what = f"{how_many} commands reach it, though the broker accepts the subscriptions"
            found.append(Trouble(what, f"give this user the right to read {', '.join(lost)}"))
        for topic, refusal in answers.refused.items():
            meant = f"{topics.base}/#" if topic == topics.check else topic
            what = f"it may not publish {topic} ({refusal})"
            found.append(Trouble(what, remedy_of_untaken(refusal, meant)))
        needs = {}
        if answers.limit is not None and answers.limit < self._event_size:
            needs["an event"] = self._event_size
        if self._is_beyond(answers.limit):
            needs["the description for Home Assistant"] = self._discovery_size
        if needs:
            sizes = " and ".join(f"{what} has up to {size}" for what, size in needs.items())
            what = f"the broker takes packets of {answers.limit} bytes at most, and {sizes}"
            remedy = f"raise its limit to {max(*needs.values(), self._picture_size)} (mosquitto: max_packet_size)"
            found.append(Trouble(what, remedy))
        return found

    def doubts(self, answers: _Answers) -> list[Trouble]:
        """What costs something, but no event."""
        if answers.limit is None or self._picture_size <= answers.limit:
            return []
        what = f"the broker takes packets of {answers.limit} bytes at most, and larger pictures are not sent"
        remedy = f"raise its limit to {self._picture_size} (mosquitto: max_packet_size)"
        return [Trouble(what, f"{remedy}, or lower snapshots.max_bytes")]

    def proven(self, answers: _Answers) -> str:
        """In words: what of its rights is known."""
        if answers.told:
            writes = f"may publish (tried: {', '.join(answers.taken)})"
        else:
            writes = "MQTT 3.1.1 does not tell whether it may publish"
        if answers.heard.issuperset(self.topics.switch_sets()):
            return f"{writes}, commands reach it"
        return f"{writes}; the broker accepts the subscriptions, whether commands arrive it does not tell"


def probe(
    settings: MqttSettings, device: DeviceSettings, *, snapshots: SnapshotSettings, ranges: Ranges
) -> CheckLine:
    """Connect as the service would and find out whether it may publish and be told commands; nothing is left at the
    broker. `ranges`: lowest and highest `threshold` and `cooldown`.

    Published are: an empty message on `<base>/check`; with discovery, an unretained copy of what the service tells
    Home Assistant; and on the switches' topics a word that switches nothing, to see it come back. What is refused
    is told by MQTT 5 alone, so that version is tried for these questions even if 3.1.1 is configured.
    """
    probing = _Probe(settings, device, snapshots=snapshots, ranges=ranges)
    where = f"{settings.host}:{settings.port}"
    began = time.monotonic()
    try:
        with converse(settings, device) as talk:
            took = time.monotonic() - began
            answers = probing.ask(talk)
            oversize = talk.oversize
            version = talk.version
        if settings.protocol == "3.1.1":
            answers = _ask_in_version_5(probing, settings, device) or answers
    except BrokerError as error:
        return CheckLine("broker", "fail", error.trouble.what, error.trouble.remedy)
    doubts = probing.doubts(answers) + ([oversize] if oversize is not None else [])
    failures = probing.failures(answers)
    if troubles := failures + doubts:
        text = f"{where}: connected, but {'; '.join(trouble.what for trouble in troubles)}"
        hint = "; ".join(dict.fromkeys(trouble.remedy for trouble in troubles))
        return CheckLine("broker", "fail" if failures else "warn", text, hint)
    security = "TLS" if settings.tls.enabled else "no TLS"
    text = f"{where}: connected in {took * 1000:.0f} ms, MQTT {version}, {security}, {probing.proven(answers)}"
    return CheckLine("broker", "ok", text)


def _ask_in_version_5(probing: _Probe, settings: MqttSettings, device: DeviceSettings) -> _Answers | None:
    try:
        with converse(settings, device, "5") as talk:
            return probing.ask(talk)
    except BrokerError:
        return None  # an old broker: it can't be known


def purge_discovery(settings: MqttSettings, device: DeviceSettings) -> None:
    """Remove the device from Home Assistant, and all that it retained from the broker.

    Raises:
        BrokerError: the broker can't be reached, or does not allow it.
    """
    topics = Topics(device.id, settings.discovery.prefix)
    # the description first: without it Home Assistant has forgotten the entities before their states go
    ordered = (topics.discovery, *(topic for topic in topics.retained() if topic != topics.discovery))
    with converse(settings, device) as talk:
        for topic in ordered:
            code = talk.publish(topic, b"", retain=True)
            if code.is_failure:
                remedy = remedy_of_untaken(code.getName(), f"{topics.base}/# and {topics.discovery}")
                raise BrokerError(Trouble(f"the broker does not let this user clear {topic} ({code})", remedy))
