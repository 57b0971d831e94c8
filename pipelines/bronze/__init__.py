"""Bronze: records as they came, with the log offsets they cover."""
