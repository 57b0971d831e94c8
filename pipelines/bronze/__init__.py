"""Bronze: unchanged records, and the read position in the log."""
