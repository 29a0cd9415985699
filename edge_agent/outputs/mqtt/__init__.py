"""Violations and status over MQTT: durable, in order, and found by Home Assistant."""
