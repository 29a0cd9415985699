"""What a mask network takes and gives, and which weights there are to begin one with; needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from edge_agent.types import LABELS

#: Widths of MobileNetV2 that Keras has ImageNet weights for; the one that ships first.
WIDTHS = (1.0, 0.35, 0.5, 0.75, 1.3, 1.4)


def check_weights(weights: Path | str | None, alpha: float) -> None:
    """See that there are weights to begin a network of width ``alpha`` with.

    Raises:
        ConvertError: the file is missing, or Keras has none of this width.
    """
    if weights is None:
        return
    if str(weights) != "imagenet":
        if not Path(weights).is_file():
            raise ConvertError(
                f"--weights {weights} does not exist; 'imagenet' downloads weights, 'none' starts from nothing"
            )
    elif alpha not in WIDTHS:
        known = ", ".join(f"{width:g}" for width in sorted(WIDTHS))
        raise ConvertError(
            f"Keras has no ImageNet weights for --alpha {alpha:g}, only for {known}; take one of them, "
            "or --weights none"
        )


def check_model(path: Path, input_shape: Any, output_shape: Any) -> int:
    """See that a Keras model takes square RGB images and answers with one number per class.

    Args:
        input_shape, output_shape: as Keras gives them: ``(None, S, S, 3)``, or a list of such for several.

    Returns:
        S, the side of the images.

    Raises:
        ConvertError: it is another network; the message names what it gives or takes.
    """
    if not _is_shape(output_shape) or tuple(output_shape[1:]) != (len(LABELS),):
        raise ConvertError(
            f"{path} is no mask network: its outputs are {output_shape}, not (None, {len(LABELS)}) for "
            f"{', '.join(LABELS)}"
        )
    taken = tuple(input_shape[1:]) if _is_shape(input_shape) else ()
    if len(taken) != 3 or taken[0] is None or taken[0] != taken[1] or taken[2] != 3:
        raise ConvertError(f"{path} is no mask network: it takes {input_shape}, not square RGB images")
    return int(taken[0])


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, (tuple, list)) and all(side is None or isinstance(side, int) for side in shape)
