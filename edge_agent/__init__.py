"""edge-agent: a face-mask watch for an entrance."""

__version__ = "0.1.0"
