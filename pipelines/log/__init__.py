"""The event log behind one interface: a Kafka broker or one SQLite file."""
