"""The demonstration: a broker and a subscriber around the very same agent."""
