"""Cameras that fail on command, for the fault table and for the tests."""
