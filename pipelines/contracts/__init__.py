"""The fields of events, and the names and columns of tables."""
