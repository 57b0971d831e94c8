"""Writes ledger entries to `ops` while a run is under way: those that gold reflects, every few seconds (R26)."""

import time
from collections.abc import Mapping

from pipelines.microbatch.gold_stage import Published
from pipelines.silver.ledger import Ledger
from pipelines.silver.topic import SilverTopic

_FLUSH_INTERVAL = 2.0  # seconds between writes of the ledger while there is work


class LedgerFlush:
    """The ledger entries of all topics that `ops` does not hold yet. Loop's thread only."""

    def __init__(self, ledger: Ledger, topics: Mapping[str, SilverTopic], *, wait_for_gold: bool) -> None:
        self._ledger, self._topics, self._wait_for_gold = ledger, topics, wait_for_gold
        self._flushed_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last flush is long enough ago."""
        return time.monotonic() - self._flushed_at > _FLUSH_INTERVAL

    def mark_in_gold(self, published: Published) -> None:
        """Record in the entries of these batches when gold showed them. They are written with the next flush."""
        for topic, silver in self._topics.items():
            for entry in silver.ledger:
                if entry.batch_id <= published.through.get(topic, 0) and entry.gold_at is None:
                    entry.gold_at = published.gold_at

    def flush(self, *, everything: bool) -> None:
        """Write the entries that gold reflects; with `everything`, or in a run without gold, all entries."""
        self._flushed_at = time.monotonic()
        everything = everything or not self._wait_for_gold
        self._ledger.flush(
            {
                topic: [entry for entry in silver.ledger if everything or entry.gold_at is not None]
                for topic, silver in self._topics.items()
            }
        )
        flushed = self._ledger.flushed()
        for topic, silver in self._topics.items():
            silver.ledger = [entry for entry in silver.ledger if entry.batch_id > flushed.get(topic, 0)]
