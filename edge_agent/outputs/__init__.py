"""Whoever is told of a violation: buzzer, MQTT with its outbox, snapshots."""
