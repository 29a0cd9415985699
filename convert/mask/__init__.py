"""The mask network: data, training, TFLite export and evaluation."""

from __future__ import annotations

from convert.mask.commands import register

__all__ = ["register"]
