"""Life under systemd: notify, watchdog, health, statistics, signals."""
