"""Faces followed over frames: tracker, votes, verdicts."""
