"""The pipeline to measure against: every network on every face of every frame."""
