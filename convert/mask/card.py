"""The measured part of the mask network's card, from the model itself to the text between the marks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.cards import check_card, renew_measured
from convert.errors import ConvertError
from convert.mask import evaluate, faces, graph
from convert.mask.predict import KerasPredictor, Predictor, open_predictor
from convert.mask.records import Record
from convert.metrics import Figure
from edge_agent.vision.tflite import RuntimeName, available_runtimes

#: What a TFLite file is asked in, the preferred runtime first.
RUNTIMES: tuple[RuntimeName, ...] = ("litert", "tflite-runtime")


def renew(
    card: Path,
    model: Path,
    dataset: Path,
    scenes: Path | None,
    checkpoint: Path | None,
    bare_handicap: float = 0.0,
    more: Sequence[Record] = (),
) -> None:
    """Measure ``model`` (and the float ``checkpoint`` it was made from) and rewrite the part between the marks.

    ``bare_handicap`` is that which the model was exported with, for the checkpoint to be measured alike; ``more``
    are faces without a mask to measure on besides.

    A card that does not exist yet is begun with nothing but the measured part.

    Raises:
        ConvertError: the card exists and lacks the marks, or cannot be read or written; the model would not run
            everywhere; or the dataset cannot be used.
        ModelError: the device's own face net is missing or altered.
    """
    check_card(card, title=model.stem)
    graph.check(model)
    measured = _measured(model, dataset, scenes, checkpoint, bare_handicap, more)
    renew_measured(card, measured, title=model.stem)


def _measured(
    model: Path,
    dataset: Path,
    scenes: Path | None,
    checkpoint: Path | None,
    bare_handicap: float,
    more: Sequence[Record],
) -> str:
    installed = available_runtimes()
    predictors: list[Predictor] = [open_predictor(model, name) for name in RUNTIMES if name in installed]
    if not predictors:
        raise ConvertError("no TFLite runtime is installed: pip install ai-edge-litert")
    if checkpoint is not None:  # after tflite-runtime: with TensorFlow loaded before it, it fails
        predictors.append(KerasPredictor(checkpoint, bare_handicap))
    chosen = [*faces.found(faces.select(faces.listed(dataset, scenes)), dataset), *more]
    cut = faces.cut(chosen, predictors[0].size, quiet=True)
    reports = {}
    for predictor in predictors:
        kind = "float" if predictor.name == "keras" else "int8"
        reports[f"{kind}, {predictor.name}"] = evaluate.report(cut.records, predictor(cut.crops))
    first = next(iter(reports.values()))
    device = _at_device(predictors[0], chosen)
    milliseconds = ", ".join(
        f"{_milliseconds(predictor, cut.crops):.1f} ms in {predictor.name}"
        for predictor in predictors
        if predictor.name != "keras"
    )
    names = list(reports)
    return "\n".join(
        [
            f"{model.stat().st_size / 1e6:.2f} MB, {graph.multiply_adds(model) / 1e6:.1f} M multiply–adds, input "
            f"{predictors[0].size} × {predictors[0].size}. One face on one core of the machine that measured: "
            f"{milliseconds} (median).",
            "",
            f"Share of right answers on {len(cut.records)} faces not trained on, with 95 % intervals (Wilson):",
            "",
            *_table(
                ["measure", "faces", *names, "where the device's face net finds them"],
                [
                    [
                        name,
                        str(figure.count),
                        *(str(reports[key].headline[name]) for key in names),
                        device.get(name, "–"),
                    ]
                    for name, figure in first.headline.items()
                    if figure.count
                ],
            ),
            "",
            "Per class, real photos and (apart) painted masks; F1 and ROC-AUC with bootstrap intervals:",
            "",
            *_table(
                ["class", "precision", "recall", "F1", "ROC-AUC"],
                [
                    [name, *(str(figures[key]) for key in ("precision", "recall", "f1", "roc_auc"))]
                    for name, figures in first.classes.items()
                    if figures["recall"].count
                ],
            ),
            "",
            f"Per source (calibration error over the real faces {first.calibration:.3f}):",
            "",
            *_table(["faces of / class / source", "faces", "right"], _rows(first.sources)),
            "",
            "Per source, means over the classes it has, each against the others; bootstrap intervals:",
            "",
            *_table(
                ["source", "faces", "macro-F1", "ROC-AUC"],
                [
                    [name, str(figures["macro_f1"].count), str(figures["macro_f1"]), str(figures["roc_auc"])]
                    for name, figures in first.by_source.items()
                ],
            ),
        ]
    )


def _at_device(predictor: Predictor, chosen: list[Record]) -> dict[str, str]:
    """Each headline figure again on the faces that the device's face net finds, cut there; and of how many."""
    found = faces.at_device(chosen)
    if not found:
        return {}
    cut = faces.cut(found, predictor.size, quiet=True)
    figures = evaluate.report(cut.records, predictor(cut.crops)).headline
    return {name: f"{figure} of {figure.count}" for name, figure in figures.items() if figure.count}


def _rows(figures: dict[str, Figure]) -> list[list[str]]:
    return [[name, str(figure.count), str(figure)] for name, figure in figures.items()]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _milliseconds(predictor: Predictor, crops: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """Median of single-face answers, after some to warm up."""
    times = []
    for crop in crops[:120]:
        started = time.perf_counter()
        predictor(crop[None])
        times.append(time.perf_counter() - started)
    return statistics.median(times[20:] or times) * 1000
