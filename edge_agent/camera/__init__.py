"""Cameras: sources behind one protocol, reopening, the newest-frame slot."""
