"""Figures by source, on answers made up for the purpose."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.errors import ConvertError
from convert.mask import evaluate, graph, patches, shapes
from convert.mask.faces import read
from convert.mask.records import Record
from convert.mask.sampling import Recipe, Sampler

from .test_mask_data import make_dataset


def _record(label: int, source: str, synthetic: bool = False, side: float = 80.0) -> Record:
    origin = "scene" if side < 60 else "single"
    return Record(Path("a.jpg"), label, (0, 0, side, side), None, source, origin, synthetic, "g")


def test_each_source_has_means_over_its_own_classes() -> None:
    records = [_record(0, "two"), _record(0, "two"), _record(1, "two"), _record(1, "two"),
               _record(1, "one"), _record(1, "one"), _record(0, "two", synthetic=True),
               _record(2, "two", side=30.0)]  # fmt: skip
    answers = np.array([0, 1, 1, 1, 1, 1, 0, 0])
    probabilities = np.full((8, 3), 0.1, np.float32)
    probabilities[np.arange(8), answers] = 0.8
    probabilities[1] = (0.45, 0.5, 0.05)  # wrong, but less so than the right ones
    report = evaluate.report(records, probabilities, rounds=20, looked_at={})
    found = report.by_source
    assert set(found) == {"two", "one", "two (painted)"}
    # mask: one of two found, none wrongly; no_mask: both found, one wrongly. The small face does not count.
    assert found["two"]["macro_f1"].value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["two"]["macro_f1"].count == 4
    assert found["two"]["roc_auc"].value == pytest.approx(1.0)
    assert found["one"]["macro_f1"].value == pytest.approx(1.0)
    assert found["one"]["roc_auc"].count == 0
    assert found["two (painted)"]["macro_f1"].count == 1
    plain = json.loads(json.dumps(report.as_dict()))["by_source"]
    assert plain["one"]["roc_auc"]["value"] is None


def test_more_bare_faces_count_apart() -> None:
    more = Record(Path("b.jpg"), 1, (0, 0, 80, 80), None, "bare", "bare", False, "b")
    records = [_record(0, "one"), _record(1, "one"), more, more, more, more]
    probabilities = np.full((6, 3), 0.1, np.float32)
    probabilities[np.arange(6), [0, 1, 1, 1, 0, 2]] = 0.8
    report = evaluate.report(records, probabilities, rounds=5, looked_at={})
    found = {name: figure.value for name, figure in report.headline.items() if figure.count}
    assert (found.pop("more bare faces"), found.pop("more bare faces: not called mask")) == (0.5, 0.75)
    assert set(found.values()) == {1.0}
    assert report.accuracy["all"].count == report.confusion.sum() == 2
    assert "bare/no_mask/bare" not in report.sources


def test_a_class_without_faces_is_an_error_in_words(tmp_path: Path) -> None:
    built = patches.build(read(make_dataset(tmp_path, per_class=2), None), tmp_path / "cache")
    bare = [index for index in range(len(built)) if built[index].label != 0]
    with pytest.raises(ConvertError, match="with_mask/ is empty, or all of it"):
        Sampler(built, bare, Recipe(), 32)


@pytest.mark.parametrize(
    ("taken", "given", "said"),
    [
        ((None, 96, 96, 3), (None, 5), r"outputs are \(None, 5\).*mask, no_mask, incorrect"),
        ((None, 96, 96, 3), [(None, 3), (None, 2)], r"outputs are \[\(None, 3\), \(None, 2\)\]"),
        ((None, 96, 64, 3), (None, 3), "not square RGB"),
        ((None, None, None, 3), (None, 3), "not square RGB"),
        ([(None, 96, 96, 3), (None, 4)], (None, 3), "not square RGB"),
    ],
)
def test_another_network_is_refused(taken: object, given: object, said: str) -> None:
    with pytest.raises(ConvertError, match=said):
        shapes.check_model(Path("other.keras"), taken, given)


def test_a_mask_network_tells_its_side() -> None:
    assert shapes.check_model(Path("m.keras"), (None, 96, 96, 3), (None, 3)) == 96


def test_a_damaged_file_to_start_from_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"nothing")
    with pytest.raises(ConvertError, match=r"broken\.tflite is no TFLite model"):
        graph.convolutions(path)


def test_the_stamp_knows_every_part_of_a_record() -> None:
    record = _record(0, "a")
    changed: dict[str, Any] = {
        "path": Path("b.jpg"), "label": 1, "box": (0, 0, 80, 81), "landmarks": ((1.0, 2.0),) * 5, "group": "h",
        "source": "b", "synthetic": True, "origin": "scene", "detector_box": (1, 1, 2, 2), "place": 1,
    }  # fmt: skip
    assert set(changed) == {field.name for field in dataclasses.fields(Record)}
    stamps = {patches.stamp([dataclasses.replace(record, **{name: value})]) for name, value in changed.items()}
    assert len(stamps | {patches.stamp([record])}) == len(changed) + 1
