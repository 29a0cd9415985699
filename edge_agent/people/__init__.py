"""Faces followed over frames: tracker, votes, verdicts."""

from edge_agent.people.watch import People

__all__ = ["People"]
