"""The shop's world: seeded, pure generators of events, and what sends them to a log."""
