"""The shipped models on this processor, in both TFLite runtimes: the same labels as on x86-64.

Without a reference beside it (labels-*.jsonl) it only writes one to /out; script/test-device has an amd64 box do
that.
"""

from __future__ import annotations

import json
from pathlib import Path

import device
from steps import OUT, SkipStep, run, sh

PICTURES = device.INSTALL / "pictures"
RUNTIMES = ("litert", "tflite-runtime")
PYTHON = "/opt/edge-agent/current/bin/python"
TOLERANCE = 0.05
"""Largest difference of a score: int8 kernels round differently, the float face and gender nets hardly."""


def detect(runtime: str) -> None:
    """Write what the networks say of the pictures to /out/labels-RUNTIME.jsonl."""
    config = Path(f"/tmp/{runtime}.yaml")
    config.write_text(f"vision: {{{device.MODELS_DIR}tflite_runtime: {runtime}, threads: 1}}\n")
    target = OUT / f"labels-{runtime}.jsonl"
    sh("edge-agent", "detect", "-c", str(config), str(PICTURES), "--jsonl", str(target), timeout=1800)
    assert len(faces(target)) >= 6, f"{len(faces(target))} faces only"


def faces(path: Path) -> list[tuple[str, dict[str, object]]]:
    """(picture, face) of every face, in an order that both sides share."""
    found = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        found += [(record["file"], face) for face in sorted(record["faces"], key=lambda face: face["box"])]
    return sorted(found, key=lambda item: item[0])


def compare(runtime: str) -> None:
    reference = device.INSTALL / f"labels-{runtime}.jsonl"
    if not reference.exists():
        raise SkipStep("this is the reference")
    ours, theirs = faces(OUT / f"labels-{runtime}.jsonl"), faces(reference)
    assert [name for name, _ in ours] == [name for name, _ in theirs], "other faces are found"
    worst = 0.0
    for (name, mine), (_, other) in zip(ours, theirs, strict=True):
        for key in ("label", "gender"):
            assert mine[key] == other[key], f"{name}: {key} {mine[key]} here, {other[key]} on x86-64"
        for label in mine["scores"]:  # type: ignore[attr-defined]
            worst = max(worst, abs(mine["scores"][label] - other["scores"][label]))  # type: ignore[index]
    print(f"         {len(ours)} faces, scores differ by {worst:.4f} at most", flush=True)
    assert worst <= TOLERANCE, f"a score differs by {worst:.3f}"


def made(runtime: str) -> None:
    """The labels of 200 drawn faces, as the repository has them from x86-64."""
    program = (
        "import json, sys; from pathlib import Path; from convert.mask.made import made_labels; "
        "from edge_agent.vision.store import ModelStore; "
        "store = ModelStore(Path(sys.argv[2])) if sys.argv[2:] else ModelStore(); "
        "print(json.dumps(made_labels(store.paths('mask_detector')[0], sys.argv[1])))"
    )
    models = [str(device.MODELS)] if device.MODELS.exists() else []
    said = json.loads(sh(PYTHON, "-c", program, runtime, *models, timeout=1800).splitlines()[-1])
    expected = json.loads((device.INSTALL / "mask_made_labels.json").read_text())
    agreed = sum(one == other for one, other in zip(said, expected, strict=True))
    print(f"         {agreed} of {len(expected)} labels agree", flush=True)
    assert len(said) == 200 and agreed >= 199, f"{agreed} of {len(expected)} labels agree"


def install() -> None:
    """install from the wheelhouse of this processor"""
    device.install("--no-start")


def models() -> None:
    """edge-agent models verify: every file as its manifest says"""
    sh("edge-agent", "models", "verify")


def litert() -> None:
    """ai-edge-litert runs the shipped models"""
    detect("litert")


def tflite_runtime() -> None:
    """tflite-runtime runs the shipped models"""
    detect("tflite-runtime")


def litert_alike() -> None:
    """ai-edge-litert: the same labels as on x86-64"""
    compare("litert")


def tflite_runtime_alike() -> None:
    """tflite-runtime: the same labels as on x86-64"""
    compare("tflite-runtime")


def litert_made() -> None:
    """ai-edge-litert: 99.5 % of the labels of 200 drawn faces as on x86-64"""
    made("litert")


def tflite_runtime_made() -> None:
    """tflite-runtime: 99.5 % of the labels of 200 drawn faces as on x86-64"""
    made("tflite-runtime")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    steps = [
        install, models, litert, tflite_runtime, litert_alike, tflite_runtime_alike, litert_made,
        tflite_runtime_made,
    ]  # fmt: skip
    raise SystemExit(run(steps, lambda: None))
