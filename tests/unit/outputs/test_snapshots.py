"""Pictures of violations: bounded, bystanders unrecognisable, events never lost or reordered for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge_agent.config import SnapshotSettings
from edge_agent.outputs import snapshots
from edge_agent.outputs.picture import encode, hide, jpeg_of, render
from edge_agent.outputs.snapshots import SnapshotMaker, SnapshotOutput
from edge_agent.types import Box, Frame, Verdict, Violation, ViolationNotice, ViolationType

WALL = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def noise(width: int = 640, height: int = 480, seed: int = 1) -> np.ndarray:
    """The hardest picture to compress, and one in which every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def violation(*, event_id="e1", type=ViolationType.STARTED, kind=Verdict.NO_MASK) -> Violation:
    return Violation(
        event_id=event_id,
        type=type,
        kind=kind,
        person=1,
        confidence=0.9,
        votes=3,
        gender=None,
        box=(0.25, 0.25, 0.5, 0.75),
        occurred_at=WALL,
        monotonic=1.0,
    )


def notice(image: np.ndarray | None = None, others: tuple[Box, ...] = (), **kwargs) -> ViolationNotice:
    frame = None if image is None else Frame(1, image, 1.0, WALL)
    return ViolationNotice(violation(**kwargs), True, frame, others)


def decoded(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class TestPicture:
    def test_box_is_drawn_where_the_violation_is(self):
        grey = np.full((480, 640, 3), 128, np.uint8)
        image = decoded(SnapshotMaker(SnapshotSettings()).make(notice(grey)))
        reddish = (image[:, :, 2].astype(int) - image[:, :, 0] > 60) & (image[:, :, 2] > 150)
        rows, columns = np.nonzero(reddish)
        assert (columns.min(), columns.max()) == pytest.approx((160, 320), abs=3)
        assert (rows.min(), rows.max()) == pytest.approx((120, 360), abs=3)
        assert not reddish[200:300, 200:300].any()  # the face itself stays free

    def test_kinds_have_their_own_colours(self):
        grey = np.full((480, 640, 3), 128, np.uint8)
        corners = [
            render(Frame(1, grey, 1.0, WALL), violation(kind=kind), (), 640)[120, 240]
            for kind in (Verdict.NO_MASK, Verdict.INCORRECT)
        ]
        assert not np.array_equal(*corners)

    @pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (320, 240), (100, 2000)])
    def test_width_is_bounded_and_shape_kept(self, size):
        image = decoded(SnapshotMaker(SnapshotSettings(max_width=320)).make(notice(noise(*size))))
        height, width = image.shape[:2]
        assert width == min(320, size[0]) or len(image) < size[1]
        assert width <= 320
        assert width / height == pytest.approx(size[0] / size[1], rel=0.05)

    def test_the_camera_frame_itself_is_left_alone(self):
        image = noise()
        before = image.copy()
        SnapshotMaker(SnapshotSettings()).make(notice(image, (Box(0, 0, 100, 100),)))
        assert np.array_equal(image, before)

    @pytest.mark.parametrize("limit", [10_000, 30_000, 150_000])
    def test_bytes_are_bounded_even_for_noise(self, limit):
        jpeg = SnapshotMaker(SnapshotSettings(max_bytes=limit, quality=95, max_width=1280)).make(
            notice(noise(1280, 720))
        )
        assert len(jpeg) <= limit
        decoded(jpeg)

    def test_quality_is_lowered_no_further_than_needed(self):
        image = noise(200, 200)
        sizes = {quality: len(jpeg_of(image, quality)) for quality in range(15, 96, 10)}
        assert encode(image, 95, sizes[65]) == jpeg_of(image, 65)
        assert encode(image, 95, sizes[95]) == jpeg_of(image, 95)

    def test_what_can_not_fit_is_an_error_not_a_loop(self):
        with pytest.raises(ValueError, match="fits"):
            encode(noise(64, 64), 75, 10)

    def test_an_end_and_an_event_without_frame_have_no_picture(self):
        maker = SnapshotMaker(SnapshotSettings())
        assert maker.make(notice()) is None
        assert maker.make(notice(noise(), type=ViolationType.ENDED)) is None

    def test_no_metadata_travels_along(self):
        jpeg = SnapshotMaker(SnapshotSettings()).make(notice(noise()))
        assert b"Exif" not in jpeg
        assert b"\xff\xfe" not in jpeg[:200]  # no comment


class TestHiding:
    BOX = Box(200, 150, 320, 310)

    def hidden(self, image: np.ndarray) -> np.ndarray:
        copy = image.copy()
        hide(copy, self.BOX)
        return copy

    def test_two_faces_with_the_same_averages_become_the_very_same_picture(self):
        """The proof that it can't be undone: what told them apart is gone, whatever filter is tried."""
        flat = np.full((480, 640, 3), 100, np.uint8)
        striped = flat.copy()
        striped[:, ::2] -= 60  # alternating columns with the same mean as the flat one
        striped[:, 1::2] += 60
        inside = np.s_[170:290, 220:300]
        difference = self.hidden(flat)[inside].astype(int) - self.hidden(striped)[inside]
        assert np.abs(difference).max() <= 6  # of 120 grey levels before
        assert np.abs(flat[inside].astype(int) - striped[inside]).max() == 60

    def test_at_most_25_numbers_are_left_of_a_face(self):
        """Change single pixels: the result follows the average of their cell only."""
        image = noise()
        shuffled = image.copy()
        # Move every pixel to another place within its cell (the area is 180×240, so cells are 36×48).
        x1, y1 = 170, 110
        generator = np.random.default_rng(7)
        for row in range(5):
            for column in range(5):
                cell = np.s_[y1 + row * 48 : y1 + (row + 1) * 48, x1 + column * 36 : x1 + (column + 1) * 36]
                pixels = shuffled[cell].reshape(-1, 3)
                shuffled[cell] = generator.permutation(pixels).reshape(48, 36, 3)
        area = np.s_[y1 : y1 + 240, x1 : x1 + 180]
        assert not np.array_equal(image[area], shuffled[area])
        assert np.array_equal(self.hidden(image)[area], self.hidden(shuffled)[area])

    def test_nothing_of_the_detail_is_left(self):
        sharp = cv2.Laplacian(noise(), cv2.CV_64F)[160:300, 210:310].var()
        soft = cv2.Laplacian(self.hidden(noise()), cv2.CV_64F)[160:300, 210:310].var()
        assert soft < sharp / 1000

    def test_a_margin_around_the_face_is_hidden_and_the_rest_untouched(self):
        image = noise()
        result = self.hidden(image)
        changed = np.any(image != result, axis=2)
        rows, columns = np.nonzero(changed)
        assert (columns.min(), columns.max() + 1) == (170, 350)
        assert (rows.min(), rows.max() + 1) == (110, 350)

    def test_everybody_else_is_hidden_in_the_picture_and_the_violator_is_not(self):
        others = (Box(400, 100, 500, 220), Box(20, 300, 80, 380))
        smooth = cv2.GaussianBlur(noise(), (0, 0), 2)  # survives JPEG, as a face does
        image = decoded(SnapshotMaker(SnapshotSettings(quality=95)).make(notice(smooth, others)))
        for box in others:
            area = np.s_[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
            assert image[area].std() < smooth[area].std() / 2
        face = np.s_[140:340, 180:300]
        assert np.abs(image[face].astype(int) - smooth[face]).mean() < 8

    def test_hidden_faces_move_with_the_scale(self):
        others = (Box(1000, 400, 1200, 700),)
        image = render(Frame(1, noise(1280, 960), 1.0, WALL), violation(), others, 320)
        plain = render(Frame(1, noise(1280, 960), 1.0, WALL), violation(), (), 320)
        rows, columns = np.nonzero(np.any(image != plain, axis=2))
        assert (columns.min(), columns.max()) == pytest.approx((237, 312), abs=2)
        assert (rows.min(), rows.max()) == pytest.approx((81, 193), abs=2)

    def test_where_faces_overlap_hiding_wins(self):
        smooth = cv2.GaussianBlur(noise(), (0, 0), 2)
        image = render(Frame(1, smooth, 1.0, WALL), violation(), (Box(200, 150, 300, 330),), 640)
        assert image[160:320, 210:290].std() < smooth[160:320, 210:290].std() / 2

    @hypothesis_settings(max_examples=150, deadline=None)
    # Without subnormal numbers: TensorFlow, loaded by other tests, switches them off in this process.
    @given(
        st.tuples(
            *[st.floats(-1e4, 1e4, allow_subnormal=False) | st.sampled_from([float("nan"), float("inf")])] * 4
        )
    )
    def test_any_box_is_survived(self, numbers):
        hide(noise(40, 30), Box(*numbers))

    def test_a_face_at_the_edge_is_hidden_up_to_the_edge(self):
        image = noise()
        hide(image, Box(-30, -30, 60, 60))
        assert np.all(image[0, :60] != noise()[0, :60], axis=1).mean() > 0.9

    def test_a_tiny_face_is_hidden_too(self):
        image = noise(40, 30)
        hide(image, Box(10, 10, 13, 13))
        assert not np.array_equal(image[10:13, 10:13], noise(40, 30)[10:13, 10:13])


class Told:
    """Takes what is forwarded."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes | None]] = []
        self.notices: list[ViolationNotice] = []

    def __call__(self, notice: ViolationNotice, jpeg: bytes | None) -> None:
        self.notices.append(notice)
        self.got.append((notice.violation.event_id, jpeg))

    @property
    def ids(self) -> list[str]:
        return [event_id for event_id, _ in self.got]


class TestOutput:
    def test_events_come_in_order_each_with_its_own_picture(self):
        told = Told()
        output = SnapshotOutput(SnapshotSettings(enabled=True), told)
        output.start()
        shades = [20, 120, 220]
        for index, shade in enumerate(shades):
            output.handle(notice(np.full((48, 64, 3), shade, np.uint8), event_id=f"e{index}"))
            output.handle(notice(event_id=f"e{index}-over", type=ViolationType.ENDED))
        output.stop(30)
        assert told.ids == ["e0", "e0-over", "e1", "e1-over", "e2", "e2-over"]
        for index, shade in enumerate(shades):
            assert decoded(told.got[2 * index][1])[0, 0].mean() == pytest.approx(shade, abs=5)
            assert told.got[2 * index + 1][1] is None
        assert output.stats().made == 3

    def test_what_is_forwarded_holds_no_frame(self):
        told = Told()
        output = SnapshotOutput(SnapshotSettings(enabled=True), told)
        output.start()
        output.handle(notice(noise(64, 48), (Box(1, 1, 9, 9),)))
        output.stop(30)
        assert told.notices[0].frame is None
        assert told.notices[0].others == ()
        assert told.notices[0].violation == violation()
        assert told.notices[0].alarm

    def test_not_over_mqtt_but_into_the_folder(self, tmp_path):
        told = Told()
        output = SnapshotOutput(SnapshotSettings(enabled=True, mqtt=False, directory=tmp_path), told)
        output.start()
        output.handle(notice(noise(64, 48)))
        output.stop(30)
        assert told.got == [("e1", None)]
        assert [path.suffix for path in tmp_path.iterdir()] == [".jpg"]
        assert output.stats().saved == 1

    def test_nothing_touches_the_disk_without_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        output = SnapshotOutput(SnapshotSettings(enabled=True), Told())
        output.start()
        output.handle(notice(noise(64, 48)))
        output.stop(30)
        assert list(tmp_path.iterdir()) == []

    def test_vision_never_waits_and_memory_is_bounded(self):
        release, entered = threading.Event(), threading.Event()
        told = Told()

        def slow(each: ViolationNotice, jpeg: bytes | None) -> None:
            entered.set()
            release.wait(60)
            told(each, jpeg)

        output = SnapshotOutput(SnapshotSettings(enabled=True), slow)
        output.start()
        output.handle(notice(noise(64, 48), event_id="first"))
        assert entered.wait(10)
        for index in range(50):
            output.handle(notice(noise(64, 48), event_id=f"e{index}"))
        assert sum(each.frame is not None for each in output._notices) == snapshots._MAX_FRAMES
        assert output.stats().skipped == 50 - snapshots._MAX_FRAMES
        release.set()
        output.stop(30)
        assert told.ids == ["first", *(f"e{index}" for index in range(50))]
        assert sum(jpeg is not None for _, jpeg in told.got) == 1 + snapshots._MAX_FRAMES

    def test_a_picture_that_can_not_be_made_costs_the_picture_not_the_event(self, caplog):
        told = Told()
        output = SnapshotOutput(SnapshotSettings(enabled=True), told)
        output.start()
        output.handle(notice(np.zeros((0, 0, 3), np.uint8), event_id="broken"))
        output.handle(notice(noise(64, 48), event_id="good"))
        output.stop(30)
        assert told.ids == ["broken", "good"]
        assert told.got[0][1] is None
        assert told.got[1][1] is not None
        assert output.stats().failed == 1
        assert "broken" in caplog.text

    def test_a_receiver_that_fails_does_not_keep_the_next_event_back(self, caplog):
        told = Told()

        def fussy(each: ViolationNotice, jpeg: bytes | None) -> None:
            if each.violation.event_id == "bad":
                raise RuntimeError("no")
            told(each, jpeg)

        output = SnapshotOutput(SnapshotSettings(enabled=True), fussy)
        output.start()
        output.handle(notice(event_id="bad"))
        output.handle(notice(event_id="good"))
        output.stop(30)
        assert told.ids == ["good"]
        assert "bad" in caplog.text

    def test_stop_hands_on_what_waits_even_if_a_picture_hangs(self, monkeypatch):
        hang, entered = threading.Event(), threading.Event()
        told = Told()
        output = SnapshotOutput(SnapshotSettings(enabled=True), told)

        def stuck(_notice: ViolationNotice) -> None:
            entered.set()
            hang.wait(60)

        monkeypatch.setattr(output._maker, "make", stuck)
        output.start()
        output.handle(notice(noise(64, 48), event_id="hangs"))
        assert entered.wait(10)
        output.handle(notice(noise(64, 48), event_id="waits"))
        output.handle(notice(event_id="waits too"))
        output.stop(0.05)
        assert told.got == [("hangs", None), ("waits", None), ("waits too", None)], "none before its start"
        assert all(each.frame is None for each in told.notices)
        output.handle(notice(event_id="late"))
        hang.set()
        assert output._thread is not None
        output._thread.join(10)
        assert told.ids == ["hangs", "waits", "waits too", "late"], "each once"

    def test_what_comes_while_stop_hands_on_waits_for_its_turn(self, monkeypatch):
        hang, entered = threading.Event(), threading.Event()
        told = Told()

        def receive(each: ViolationNotice, jpeg: bytes | None) -> None:
            if each.violation.event_id == "hangs":
                output.handle(notice(event_id="meanwhile"))
            told(each, jpeg)

        output = SnapshotOutput(SnapshotSettings(enabled=True), receive)
        monkeypatch.setattr(output._maker, "make", lambda _notice: entered.set() or (hang.wait(60) and None))
        output.start()
        output.handle(notice(noise(64, 48), event_id="hangs"))
        assert entered.wait(10)
        output.handle(notice(event_id="waits"))
        output.stop(0.05)
        hang.set()
        assert told.ids == ["hangs", "waits", "meanwhile"]

    def test_a_picture_done_while_stop_gives_up_is_told_once_and_first(self, monkeypatch):
        """Neither thread may think that the other tells it, nor overtake it."""
        for _ in range(30):
            hang, entered = threading.Event(), threading.Event()
            told = Told()
            output = SnapshotOutput(SnapshotSettings(enabled=True), told)

            def stuck(_notice: ViolationNotice, entered=entered, hang=hang) -> None:
                entered.set()
                hang.wait(60)

            monkeypatch.setattr(output._maker, "make", stuck)
            output.start()
            output.handle(notice(noise(64, 48), event_id="first"))
            assert entered.wait(10)
            output.handle(notice(event_id="second"))
            threading.Timer(0.01, hang.set).start()
            output.stop(0.01)
            assert output._thread is not None
            output._thread.join(10)
            assert told.ids == ["first", "second"]

    def test_a_disk_that_hangs_delays_no_event(self, tmp_path, monkeypatch, caplog):
        told, release = Told(), threading.Event()
        output = SnapshotOutput(SnapshotSettings(enabled=True, directory=tmp_path), told)
        monkeypatch.setattr(output._ring, "save", lambda *_: release.wait(60) and None)
        output.start()
        for index in range(30):
            output.handle(notice(noise(64, 48), event_id=f"e{index}"))
            wait_for(lambda index=index: len(told.got) == index + 1)
        assert len(output._unsaved) == snapshots._MAX_UNSAVED
        caplog.set_level(logging.WARNING)
        output.stop(0.05)
        assert "could not be kept" in caplog.text
        release.set()
