"""The mask network's plots, and a sheet of its worst errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert import plots
from convert.errors import ConvertError
from convert.mask.evaluate import Report, near
from convert.mask.faces import Faces
from edge_agent.types import LABELS


def draw_all(
    folder: Path, report: Report, faces: Faces, probabilities: NDArray[np.float32], history: Path | None = None
) -> list[Path]:
    """Write ``mask_*.png`` to ``folder`` and return their paths; none of them shows a face."""
    # The same faces as the figures beside them.
    real = np.array([not record.synthetic for record in faces.records]) & near(faces.records)
    labels, shown = faces.labels[real], probabilities[real]
    judged = {name: figure for name, figure in report.headline.items() if figure.count}
    written = [
        plots.confusion_matrix(folder / "mask_confusion.png", report.confusion, LABELS),
        plots.precision_recall(folder / "mask_precision_recall.png", labels, shown, LABELS),
        plots.reliability(folder / "mask_reliability.png", shown.max(axis=1), shown.argmax(axis=1) == labels),
        plots.bars_with_intervals(
            folder / "mask_headline.png",
            [f"{name} ({figure.count})" for name, figure in judged.items()],
            [(figure.value, figure.low, figure.high) for figure in judged.values()],
            "share of right answers, 95 % interval",
        ),
    ]
    if history is not None:
        written.append(plots.history(folder / "mask_history.png", history))
    return written


def draw_errors(path: Path, faces: Faces, probabilities: NDArray[np.float32], most: int = 120) -> int:
    """Write a contact sheet of the most confident wrong answers and return how many it shows.

    Each crop has its label and the answer (m, n, i) with its probability below it.

    Raises:
        ConvertError: the path lies in a git checkout: the sheet shows people and is not to be published.
    """
    if any((parent / ".git").exists() for parent in path.resolve().parents):
        raise ConvertError(f"{path} lies in a git checkout; the sheet shows faces, write it elsewhere")
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != faces.labels)
    worst = wrong[np.argsort(-probabilities[wrong, answers[wrong]])][:most]
    if not len(worst):
        return 0
    tiles = []
    for index in worst:
        crop = cv2.cvtColor(faces.crops[index], cv2.COLOR_RGB2BGR)
        tile = cv2.copyMakeBorder(cv2.resize(crop, (96, 96)), 0, 24, 2, 2, cv2.BORDER_CONSTANT)
        text = f"{LABELS[faces.labels[index]][0]}>{LABELS[answers[index]][0]} {probabilities[index].max():.2f}"
        cv2.putText(tile, text, (4, 108), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
        cv2.putText(
            tile,
            faces.records[index].source[:13],
            (4, 118),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.3,
            (160, 220, 255),
            1,
            cv2.LINE_AA,
        )
        tiles.append(tile)
    columns = min(len(tiles), 12)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    _, sheet = cv2.imencode(".png", np.vstack(rows))  # imwrite crashes on a name that is not UTF-8
    path.write_bytes(sheet.tobytes())
    return len(worst)
