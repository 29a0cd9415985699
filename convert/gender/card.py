"""The measured part of the gender network's card, written from a report."""

from __future__ import annotations

from collections.abc import Iterator

from convert.gender.evaluate import Report


def measured(report: Report) -> str:
    """A report in Markdown."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    if report.speed is not None:
        yield (
            "{ms:.1f} ms a face on one x86 core, {ratio:.2f} of the time of Levi and Hassner's network in the same "
            "run ({levi_hassner_ms:.1f} ms).".format(**report.speed)
        )
        yield ""
    yield f"Threshold {report.threshold:g}. In brackets 95 % intervals (Wilson; for gaps bootstrap)."
    for condition in report.conditions:
        yield from ("", f"### {condition.name.capitalize()} faces", "")
        yield "| group | faces | right, all counted | coverage | right among answered |"
        yield "| --- | --- | --- | --- | --- |"
        for kind, rows in condition.rows.items():
            for row in rows:
                name = row.name if kind == "all" else f"{kind}: {row.name}"
                yield f"| {name} | {row.right.count} | {row.right} | {row.coverage} | {row.right_answered} |"
        yield ""
        for kind, gap in condition.gaps.items():
            yield f"* Largest gap in accuracy by {kind}: {gap.gap}, {gap.best} over {gap.worst}."
        yield f"* Expected calibration error: {condition.calibration:.3f}."
    if report.device:
        yield from ("", "### Cut where the device's own face net sees them", "")
        yield "| faces | right, all counted | coverage | right among answered |"
        yield "| --- | --- | --- | --- |"
        for row in report.device:
            yield f"| {row.name} ({row.right.count}) | {row.right} | {row.coverage} | {row.right_answered} |"
