"""A report as it stands in the card, and as JSON."""

from __future__ import annotations

import numpy as np
import pytest

from convert.gender.card import measured
from convert.gender.evaluate import Condition, Report
from convert.gender.measure import largest_gap, row


@pytest.fixture
def report() -> Report:
    right = np.arange(100) % 10 != 0
    sure = np.linspace(0.5, 1.0, 100)
    halves = {"first": np.arange(100) < 50, "second": np.arange(100) >= 50}
    by_race = [row(name, right[member], sure[member], 0.8) for name, member in halves.items()]
    rows = {"all": [row("all", right, sure, 0.8)], "race": by_race}
    condition = Condition("bare", rows, {"race": largest_gap(right, halves)}, 0.02, right, sure)
    return Report("gender_net", 0.8, (condition,), {"ms": 3.0, "levi_hassner_ms": 20.0, "ratio": 0.15},
                  device=(row("bare", right, sure, 0.8),))  # fmt: skip


def test_a_report_in_markdown(report: Report) -> None:
    text = measured(report)
    assert text == text.strip()
    assert text.count("### Bare faces") == 1
    assert "| all | 100 | 0.900 (0.826–0.945) | 0.400 (" in text
    assert "| race: first | 50 |" in text
    assert "0.15 of the time" in text
    assert "| bare (100) | 0.900 (0.826–0.945) |" in text


def test_json_has_no_arrays_and_no_nan(report: Report) -> None:
    found = report.as_dict()["conditions"]["bare"]

    assert found["groups"]["all"]["all"]["right"]["value"] == pytest.approx(0.9)
    assert found["largest_gaps"]["race"]["best"] in ("first", "second")
