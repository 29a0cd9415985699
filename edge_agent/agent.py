"""The agent: builds every room, wires them, and keeps them until the end."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.sources import can_wait
from edge_agent.camera.thread import CameraThread
from edge_agent.camera.transform import watched
from edge_agent.chain import Chain, FrameResult
from edge_agent.config import Settings
from edge_agent.outputs import buzzer
from edge_agent.outputs.buzzer import BeepEvent
from edge_agent.outputs.mqtt.clock import clock_synced
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.snapshots import SnapshotOutput
from edge_agent.outputs.switches import Switches, SwitchValues
from edge_agent.service import health
from edge_agent.service.board_watch import BoardWatch
from edge_agent.service.counts import CountsKeeper
from edge_agent.service.notify import Notifier
from edge_agent.service.progress import Patience, ProgressWatchdog
from edge_agent.service.statistics import Statistics
from edge_agent.status import changed, last_status, status_line, status_payload
from edge_agent.types import Frame, ViolationNotice, ViolationType
from edge_agent.vision_worker import VisionWorker

if TYPE_CHECKING:
    from edge_agent.web.page import WebPage

_log = logging.getLogger(__name__)

_TICK = 0.25
"""Seconds between two rounds of the main loop: how late a status can be."""
_CAMERA_HOPE = 5.0
"""Seconds that READY waits for the camera's first frame; after that the service is ready, and says degraded."""
_STOP = {"camera": 0.6, "vision": 0.7, "buzzer": 0.3, "snapshots": 0.2, "mqtt": 0.8, "counts": 0.1, "web": 0.2}
"""Seconds that each part gets to stop, the counts twice: 3 s after SIGTERM the process is gone."""
_SLOW_DISK = 5.0
"""Seconds more, within the unit's TimeoutStopSec, for events that a worn card has not taken yet."""


def state_directory(settings: Settings) -> Path:
    """Where outbox and switches live: systemd's STATE_DIRECTORY, else the configured one."""
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or settings.service.state_dir).absolute()


class Agent:
    """The service. Build, `run`, done; one agent is one camera.

    Building it opens camera and buzzer, which get ready while the networks load; `run` must follow: it closes them.

    Raises ModelError if a model is missing, altered or of the wrong shape.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        notifier: Notifier | None = None,
        on_beep: Callable[[BeepEvent], None] | None = None,
        on_result: Callable[[Frame, FrameResult], None] | None = None,
        on_notice: Callable[[ViolationNotice], None] | None = None,
    ) -> None:
        """`on_beep`, `on_result` and `on_notice` are told of each beep, processed frame and violation, in the
        threads where they happen; they must not block.
        """
        self._settings = settings
        self._on_notice = on_notice
        self._notifier = notifier or Notifier()
        state_dir = state_directory(settings)
        self._switches = Switches.from_settings(state_dir / "switches.json", settings)
        self._buzzer = buzzer.create(settings.buzzer, on_beep=on_beep)
        self._live = settings.camera.realtime or not can_wait(settings.camera)
        self._slot = FrameSlot(block=not self._live)
        self._camera = CameraThread(settings.camera, self._slot)
        self._web = self._web_page()
        self._statistics = Statistics()
        self._counts = CountsKeeper(state_dir / "today.json")
        if self._counts.kept:
            self._statistics.restore_today(*self._counts.kept)
        self._watchdog = ProgressWatchdog(self._notifier, stuck_grace=settings.service.camera_grace)
        # Of a film a new process knows no more; and where nobody starts one, an end would be the end.
        limited = self._live and self._notifier.active
        self._patience = Patience(settings.service.camera_patience if limited else 0.0)
        self._hopeless = False
        self._board = BoardWatch(
            settings.vision.max_fps,
            temperature_limit=settings.service.temperature_limit,
            max_age=settings.camera.max_age,
            clock_synced=clock_synced,
        )
        self._mqtt: MqttOutput | None = None
        if settings.mqtt.enabled:
            self._mqtt = MqttOutput(
                settings.mqtt,
                settings.device,
                state_dir=state_dir,
                switches=self._switches,
                on_buzzer_test=self._buzzer.beep_test,
                snapshots=settings.snapshots.enabled and settings.snapshots.mqtt,
            )
        self._snapshots: SnapshotOutput | None = None
        if settings.snapshots.enabled:
            self._snapshots = SnapshotOutput(settings.snapshots, self._to_mqtt)
        self._keepers = [part for part in (self._switches, self._counts, self._snapshots) if part is not None]
        self._captured = self._dropped = 0
        self._status: StatusPayload | None = None
        self._status_lock = threading.Lock()
        # From here on there are threads. The GPIO library changes the working directory for a moment: so first.
        self._buzzer.start()
        self._camera.start()  # it warms up while the networks load
        try:
            self._chain = Chain(settings, keep=watched(settings.camera))
        except BaseException:
            self._camera.stop(_STOP["camera"])
            self._buzzer.stop(_STOP["buzzer"])
            raise
        self._worker = VisionWorker(
            self._chain,
            self._slot,
            live=self._live,
            max_fps=settings.vision.max_fps,
            max_age=settings.camera.max_age,
            switches=self._switches,
            deliver=self._deliver,
            statistics=self._statistics,
            watchdog=self._watchdog,
            on_result=on_result,
        )
        self._switched("", self._switches.get())
        self._switches.observe(self._switched)

    @property
    def status(self) -> StatusPayload | None:
        """The latest status; None before the first."""
        with self._status_lock:
            return self._status

    @property
    def statistics(self) -> Statistics:
        """Counters of the running service."""
        return self._statistics

    @property
    def beeps(self) -> int:
        """Patterns the buzzer has sounded."""
        return self._buzzer.stats().beeps

    def run(self, stop: threading.Event) -> int:
        """Watch until `stop` is set or a file ends; returns the exit code, 0 unless the worker failed or the camera
        is given up.
        """
        ready_by = time.monotonic() + _CAMERA_HOPE
        ready = False
        published_at = float("-inf")
        try:
            for part in (self._mqtt, self._snapshots, self._web, self._worker):
                if part is not None:
                    part.start()
            while not stop.is_set() and self._worker.is_alive() and not self._hopeless:
                status, connected = self._round()
                if not ready and (status.camera != "opening" or time.monotonic() >= ready_by):
                    ready = True
                    self._notifier.ready(status_line(status))
                    _log.info("ready: %s", status_line(status))
                now = time.monotonic()
                if changed(self._status, status) or now - published_at >= self._settings.mqtt.status_interval:
                    published_at = now
                    self._publish(status, connected=connected)
                with self._status_lock:
                    self._status = status
                stop.wait(_TICK)
        finally:
            self._notifier.stopping("stopping")
            self._stop()
        if self._hopeless:
            _log.error("no picture for %.0f s: a new process may get one", self._settings.service.camera_patience)
        return 1 if self._worker.failed or self._hopeless else 0

    def _round(self) -> tuple[StatusPayload, bool]:
        """One look at every room: feed the statistics and the watchdog, mind the board, sum it up; and whether
        there was a connection to the broker.
        """
        camera = self._camera.stats()
        # The time of a film at full speed is its own: it tells nothing of how old a frame is.
        newest = camera.last_frame_at if self._live else None
        captured = camera.captured - self._captured
        self._statistics.frames_captured(captured, captured_at=newest)
        dropped = self._slot.dropped  # asked once: the camera drops meanwhile
        self._statistics.frames_dropped(dropped - self._dropped)
        self._watchdog.captured(captured)
        self._hopeless = self._patience.lost(captured=captured, state=camera.state)
        self._captured, self._dropped = camera.captured, dropped
        self._watchdog.camera_state(camera.state)
        self._watchdog.tick()
        figures = self._statistics.snapshot()
        self._counts.keep(figures.day, figures.today)
        latency = figures.late if figures.late is not None else figures.latency_ms and figures.latency_ms / 1e3
        self._board.tick(latency)
        self._worker.max_fps = self._board.max_fps
        mqtt = self._mqtt.stats() if self._mqtt else None
        bell = self._buzzer.stats()
        word = health.camera_word(camera.state, paused=not self._switches.get().detection)
        judgement = health.assess(
            camera=word,
            frame_age=figures.frame_age,
            late=figures.late,
            worker_alive=self._worker.is_alive(),
            broker_connected=mqtt.connected if mqtt else None,
            broker_reason=mqtt.reason if mqtt else None,
            outbox_alarm=mqtt.alarm if mqtt else None,
            disk=[trouble for part in self._keepers if (trouble := part.trouble)],  # each asked once
            buzzer_reason=bell.reason if self._settings.buzzer.enabled and not bell.available else None,
            temperature=self._board.state.temperature,
            temperature_limit=self._settings.service.temperature_limit,
            throttled=self._board.state.throttled,
        )
        status = status_payload(
            camera=camera,
            word=word,
            figures=figures,
            people=sum(person.visible for person in self._worker.persons),
            violations=len(self._chain.violations.active),
            mqtt=mqtt,
            bell=bell,
            snapshots=self._snapshots.stats() if self._snapshots else None,
            slowed=self._board.slowed,
            board=self._board.state,
            health=judgement,
        )
        return status, mqtt is not None and mqtt.connected

    def _publish(self, status: StatusPayload, *, connected: bool) -> None:
        self._notifier.status(status_line(status))
        if self._mqtt:
            self._mqtt.publish_status(status, connected=connected)

    def _deliver(self, notice: ViolationNotice) -> None:
        """From the vision worker to every output; none of these calls waits."""
        violation = notice.violation
        _log.info("violation %s: %s, person %d", violation.type.value, violation.kind.value, violation.person)
        if violation.type is ViolationType.STARTED:
            self._statistics.violation(violation.kind.value)
        if self._on_notice:
            self._on_notice(notice)
        self._buzzer.handle(notice)
        if self._snapshots:
            self._snapshots.handle(notice)
        else:
            self._to_mqtt(notice, None)

    def _to_mqtt(self, notice: ViolationNotice, jpeg: bytes | None) -> None:
        if self._mqtt:
            self._mqtt.handle(notice, jpeg)

    def _switched(self, _name: str, values: SwitchValues) -> None:
        self._buzzer.muted = values.mute
        self._chain.people.threshold = values.threshold
        self._chain.violations.cooldown = values.cooldown

    def _web_page(self) -> WebPage | None:
        if not self._settings.web.enabled:
            return None
        from edge_agent.web.live_picture import LivePicture
        from edge_agent.web.page import WebPage  # an optional extra

        return WebPage(self._settings.web, self._web_status, LivePicture(self._shown))

    def _web_status(self) -> dict[str, Any]:
        status = self.status
        return {
            "name": self._settings.device.name,
            **(status.model_dump(mode="json", by_alias=True) if status else {}),
        }

    def _shown(self) -> tuple[Frame, float] | None:
        """The newest frame for the live page, and when it was looked at; None while detection is switched off."""
        return self._worker.latest if self._switches.get().detection else None

    def _stop(self) -> None:
        """Upstream first, so that what is under way still reaches the outputs."""
        if self._web:
            self._web.stop(_STOP["web"])
        self._worker.halt()
        self._camera.stop(_STOP["camera"])
        if self._worker.ident is not None:
            self._worker.join(_STOP["vision"])
        self._buzzer.stop(_STOP["buzzer"])
        if self._snapshots:
            self._snapshots.stop(_STOP["snapshots"])
        if self._mqtt:
            if self._status is not None:  # retained: who reads it later must not find people whom nobody watches
                self._mqtt.publish_status(last_status(self._status, self._statistics.snapshot()))
            self._mqtt.stop(_STOP["mqtt"], disk_timeout=_SLOW_DISK)
        self._counts.wait(_STOP["counts"])
        figures = self._statistics.snapshot()
        self._counts.keep(figures.day, figures.today)
        self._counts.wait(_STOP["counts"])
