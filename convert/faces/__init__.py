"""The face network: data, training, Caffe export and evaluation."""

from __future__ import annotations

from convert.faces.commands import register

__all__ = ["register"]
