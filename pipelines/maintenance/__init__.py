"""Compaction, snapshot expiry, orphan files and bronze retention."""
