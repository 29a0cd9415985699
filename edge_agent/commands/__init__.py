"""One module for each command: `register` adds its options, `run` does it. Heavy imports stay inside `run`."""
