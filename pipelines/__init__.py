"""Log to bronze to silver: what came in, kept whole; what is true of it, one row an event."""
