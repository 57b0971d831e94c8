"""The gold stage of the loop: the port to the warehouse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from pipelines.silver.changes import SilverChanges

_MOST_WAITING = 150_000  # silver rows that may wait for gold; with 300,000 a catch-up takes 0.5 GB more


class Refresh(Protocol):
    """What a refresh says of itself."""

    @property
    def published(self) -> bool:
        """Whether readers see it already."""


class GoldWriter(Protocol):
    """The one writer of gold; `warehouse.writer.Warehouse` is it. It comes in as an argument: layers look down only."""

    def reflected(self) -> Mapping[str, int]:
        """Silver snapshots that the last refresh reflects, by full table name."""

    def refresh(self, changes: SilverChanges, now: datetime) -> Refresh:
        """One refresh, committed, and published unless a catch-up has just published another."""

    def complete_deferred(self, now: datetime) -> Refresh | None:
        """Bring up to date what refreshes left for later, and publish; None when there was no refresh to do."""

    def archive_closed_days(self) -> bool:
        """A piece of what makes later refreshes cheaper; False when there is nothing left to do."""

    def publish(self) -> None:
        """Publish what refreshes have committed."""

    def discard(self) -> None:
        """Forget all, so that the next refresh builds from nothing."""


@dataclass(slots=True)
class _Appended:
    """Rows that a silver table got since gold last asked, and between which snapshots."""

    base: int | None
    snapshot: int | None
    rows: list[pa.Table] = field(default_factory=list)
