"""Reading the training data and making canvases of it, on a small dataset made here."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.errors import ConvertError
from convert.faces.canvas import Canvas
from convert.faces.canvases import CanvasMaker
from convert.faces.records import evaluation_scenes, held_out, read_dataset, singles_held_out

GREEN = (0, 255, 0)
FACE = (60.0, 40.0, 120.0, 120.0)


def _picture(path: Path) -> None:
    """Grey, with a green face."""
    image = np.full((160, 200, 3), 90, np.uint8)
    image[int(FACE[1]) : int(FACE[3]), int(FACE[0]) : int(FACE[2])] = GREEN
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


@pytest.fixture(name="dataset", scope="module")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    make_dataset(root)
    return root


def make_dataset(root: Path) -> None:
    """Scenes, single faces and one bare face in ``root``, with all that is told of them."""
    detections, scenes, rows = [], [], []
    for number in range(24):
        name = f"scene{number}.jpg"
        _picture(root / "scenes/images" / name)
        source = "macwinwin" if number % 2 else "jolignier"
        box = [40.0, 10.0, 140.0, 130.0] if source == "macwinwin" else list(FACE)
        faces = [{"box": box, "label": "with_mask"}]
        scenes.append(
            {
                "file": name,
                "width": 200,
                "height": 160,
                "faces": faces,
                "source": source,
                "orig": f"photo{number}.jpg",
            }
        )
        detections.append({"file": f"scenes/images/{name}", "faces": [{"box": list(FACE), "score": 0.9}]})
    for label in ("with_mask", "without_mask", "incorrect"):
        for number in range(24):
            file = f"mask/{label}/{number}.jpg"
            _picture(root / file)
            origin = f"source+photo{number}.jpg" if label == "incorrect" else f"source+{label}{number}.jpg"
            rows.append(
                {"file": file, "task": "mask", "label": label, "orig": origin, "group": f"{label}{number // 2}"}
            )
            detections.append({"file": file, "faces": [{"box": list(FACE), "score": 0.9}]})
    _picture(root / "gender/male/1.jpg")
    rows.append({"file": "gender/male/1.jpg", "task": "gender", "label": "male", "orig": "f", "group": ""})
    detections.append({"file": "gender/male/1.jpg", "faces": [{"box": list(FACE), "score": 0.9}]})
    (root / "scenes/annotations.jsonl").write_text("\n".join(map(json.dumps, scenes)) + "\n")
    (root / "faces.jsonl").write_text("\n".join(map(json.dumps, detections)) + "\n")
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ("file", "task", "label", "orig", "group"))
        writer.writeheader()
        writer.writerows(rows)


def test_head_boxes_become_faces(dataset: Path) -> None:
    data = read_dataset(dataset)
    for photo in data.scenes:
        np.testing.assert_allclose(photo.boxes, [FACE])


def test_evaluation_keeps_the_authors_boxes(dataset: Path) -> None:
    scenes = evaluation_scenes(dataset / "scenes", everything=True)
    heights = {float(scene.boxes[0, 3] - scene.boxes[0, 1]) for scene in scenes}
    assert len(scenes) == 24
    assert heights == {80.0, 120.0}


def test_no_photo_is_on_both_sides(dataset: Path) -> None:
    data = read_dataset(dataset, share=0.4)
    kept = {scene.path.name.replace("scene", "photo") for scene in data.evaluation}
    assert 0 < len(kept) < 24
    assert len(data.scenes) + len(data.evaluation) == 24
    groups = {photo.path.stem: int(photo.path.stem) // 2 for photo in data.singles["incorrect"]}
    for stem, group in groups.items():
        assert f"photo{stem}.jpg" not in kept
        # A near-duplicate shares the group, so it is left out too.
        assert all(f"photo{other}.jpg" not in kept for other in range(24) if other // 2 == group)


def test_single_faces_are_either_trained_on_or_held_out(dataset: Path) -> None:
    data = read_dataset(dataset, share=0.4)
    trained = {f"{label}/{photo.path.name}" for label in data.singles for photo in data.singles[label]}
    held = singles_held_out(dataset / "manifest.csv", share=0.4)
    assert held
    assert trained.isdisjoint(held)
    assert len(held | (trained - {"fairface/1.jpg"})) == 3 * 24


def test_the_split_does_not_move() -> None:
    assert [held_out(f"photo{number}.jpg", 0.5) for number in range(6)] == [
        held_out(f"a/photo{n}.jpg", 0.5) for n in range(6)
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"faces\.jsonl"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("scenes/annotations.jsonl", "{", "[", "line 1: no JSON"),
        ("scenes/annotations.jsonl", '"label"', '"class"', "line 1: not an annotated scene"),
        ("faces.jsonl", '"score"', '"sure"', "line 1: not the faces of a photo"),
        ("manifest.csv", "orig", "from", "line 1: no column orig"),
        ("manifest.csv", ",with_mask,", ",masked,", "unknown label 'masked'"),
    ],
)
def test_what_cannot_be_understood_is_named(
    dataset: Path, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    for name in ("faces.jsonl", "manifest.csv", "scenes/annotations.jsonl"):
        text = (dataset / name).read_text()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace(old, new) if name == file else text)
    with pytest.raises(ConvertError, match=f"{Path(file).name}.*{said}"):
        read_dataset(tmp_path)


def test_boxes_follow_the_faces(dataset: Path) -> None:
    maker = CanvasMaker(read_dataset(dataset), seed=1)
    agree = []
    for _ in range(60):
        image, boxes, ignore = maker.make(256, 320)
        assert image.shape == (256, 320, 3)
        assert image.dtype == np.uint8
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= 320).all()
        assert (boxes[:, 3] <= 256).all()
        pixels = image.astype(int)
        green = pixels[..., 1] - np.maximum(pixels[..., 0], pixels[..., 2])
        face, known = np.zeros(green.shape, bool), np.zeros(green.shape, bool)
        for x1, y1, x2, y2 in boxes.astype(int):
            face[y1:y2, x1:x2] = True
        for x1, y1, x2, y2 in np.concatenate((boxes, ignore)).astype(int):
            known[y1:y2, x1:x2] = True
        if len(boxes):
            agree.append(green[face].mean() > 20 and green[face].mean() > green[~known].mean() + 20)
    assert len(agree) > 40
    assert np.mean(agree) > 0.7  # a canvas may also be made grey, very dark, or get a green background


def test_a_seed_repeats_a_canvas(dataset: Path) -> None:
    data = read_dataset(dataset)
    (first, boxes, _), (second, same, _) = (CanvasMaker(data, seed=3).make(128, 160) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(boxes, same)


def test_half_hidden_faces_are_left_alone() -> None:
    canvas = Canvas(100, 100, (0, 0, 0))
    boxes = np.asarray([[10, 10, 40, 40], [-20, 50, 20, 90], [-35, 50, 5, 90], [50, 50, 55, 55]], np.float32)
    canvas.add(boxes, np.zeros((0, 4), np.float32), (0, 0, 100, 100))
    np.testing.assert_allclose(canvas.boxes, [[10, 10, 40, 40]])
    np.testing.assert_allclose(canvas.ignore, [[0, 50, 20, 90], [50, 50, 55, 55]])
