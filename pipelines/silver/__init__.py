"""Silver: typed, deduplicated events with verdicts, from bronze batches."""
