"""The gender network: training, measuring, export."""

from convert.gender.commands import register

__all__ = ["register"]
