"""Which output answers for which face, and what its mistakes cost.

Assignment after SimOTA (Ge et al., YOLOX, arXiv:2107.08430), with a cost for the wrong level; the score is trained
towards the root of the box's overlap with quality focal loss (Li et al., arXiv:2006.04388).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from convert.faces.network import decode, points
from edge_agent.vision.faces.edge_face import PRIORS, STRIDES

_CANDIDATES = torch.tensor([(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])  # within 1.5 strides of the centre


@dataclass(frozen=True)
class Targets:
    """Faces of a batch, flat: boxes [M, 4] in pixels with the image each is in [M]; the same for areas to
    ignore.
    """

    boxes: torch.Tensor
    image: torch.Tensor
    ignore: torch.Tensor
    ignore_image: torch.Tensor


def overlap(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """IoU, generalised IoU and distance IoU of boxes [..., 4]."""
    size_a = (a[..., 2:] - a[..., :2]).clamp_min(1e-3)
    size_b = (b[..., 2:] - b[..., :2]).clamp_min(1e-3)
    inter = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp_min(0).prod(-1)
    union = size_a.prod(-1) + size_b.prod(-1) - inter
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull_area = hull.clamp_min(1e-3).prod(-1)
    iou = inter / union
    apart = (0.5 * (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:])).square().sum(-1)
    diagonal = hull.square().sum(-1).clamp_min(1e-3)
    return iou, iou - (hull_area - union) / hull_area, iou - apart / diagonal


def _candidates(boxes: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices [M, 27] of the points around each face's centre, 3×3 a level, and which of them exist."""
    centre = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    indices, inside, start = [], [], 0
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        cell = torch.floor(centre / stride).long()[:, None, :] + _CANDIDATES
        x, y = cell[..., 0], cell[..., 1]
        inside.append((x >= 0) & (x < columns) & (y >= 0) & (y < rows))
        indices.append(start + y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1))
        start += rows * columns
    return torch.cat(indices, 1), torch.cat(inside, 1)


def _assign(
    raw: torch.Tensor, targets: Targets, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The flat outputs [K] that answer for a face, the face of each [K], and the IoU they have now [K]."""
    centres, strides, priors = points(height, width)
    index, inside = _candidates(targets.boxes, height, width)
    flat = targets.image[:, None] * len(centres) + index
    found = raw.reshape(-1, 5)[flat].float()
    iou = overlap(decode(found[..., 1:], centres[index], strides[index], priors[index]), targets.boxes[:, None])[0]
    side = (targets.boxes[:, 2:] - targets.boxes[:, :2]).clamp_min(1.0).prod(-1).sqrt()
    level = torch.log2(side[:, None] / torch.tensor(PRIORS)).abs().repeat_interleave(len(_CANDIDATES), 1)
    cost = functional.softplus(-found[..., 0]) - 3.0 * torch.log(iou.clamp_min(1e-6)) + level + 1e5 * ~inside
    rank = cost.argsort(1).argsort(1)
    wanted = torch.topk(iou * inside, 10, 1).values.sum(1).long().clamp_min(1)
    chosen = (rank < wanted[:, None]) & inside
    face, column = chosen.nonzero(as_tuple=True)
    point, price = flat[face, column], cost[face, column]
    # A point that several faces want goes to the cheapest.
    best = torch.full((raw.shape[0] * raw.shape[1],), torch.inf).scatter_reduce(0, point, price, "amin")
    keep = price <= best[point]
    return point[keep], face[keep], iou[face, column][keep]


#: The parts that ``loss`` tells.
LOSSES = ("score", "box", "positives")


def loss(raw: torch.Tensor, targets: Targets, height: int, width: int) -> tuple[torch.Tensor, dict[str, float]]:
    """What the outputs of a batch cost.

    Args:
        raw: [N, P, 5] as `network.flatten` gives it.
        targets: the faces.
        height, width: of the input, in pixels.

    Returns:
        The loss, and its parts for the log.
    """
    centres, strides, priors = points(height, width)
    count = raw.shape[1]
    logits = raw[..., 0].reshape(-1).float()
    quality = torch.zeros_like(logits)
    weight = torch.ones_like(logits)
    if len(targets.ignore):
        near = (centres >= targets.ignore[:, None, :2]) & (centres <= targets.ignore[:, None, 2:])
        box, point = near.all(-1).nonzero(as_tuple=True)
        weight[targets.ignore_image[box] * count + point] = 0.0
    box_loss = raw.sum() * 0.0
    positives = 0
    if len(targets.boxes):
        with torch.no_grad():
            flat, face, iou = _assign(raw.detach(), targets, height, width)
        positives = len(flat)
        at = flat % count
        boxes = decode(raw.reshape(-1, 5)[flat, 1:].float(), centres[at], strides[at], priors[at])
        _, general, distance = overlap(boxes, targets.boxes[face])
        box_loss = ((1.0 - distance) + 0.5 * (1.0 - general)).sum() / max(positives, 1)
        # The root of the overlap: a face half met is a face found, and must not score like a doubtful one.
        quality[flat] = iou.clamp_min(0.01).sqrt()
        weight[flat] = 1.0
    focus = (torch.sigmoid(logits) - quality).square()
    score_loss = (
        weight * focus * functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    ).sum()
    score_loss = score_loss / max(positives, 1)
    parts = {"score": float(score_loss.detach()), "box": float(box_loss.detach()), "positives": float(positives)}
    return score_loss + 2.0 * box_loss, parts
