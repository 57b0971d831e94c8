"""The gold stage: collects what silver appended and refreshes gold with it, in a thread of its own.

Only one refresh or other piece of work is under way at a time. It returns how far readers see silver; the loop passes
that to the ledger.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from pipelines.lake.catalog import Lake
from pipelines.microbatch.context import RunContext
from pipelines.microbatch.pacing import BatchPacer
from pipelines.microbatch.silver_stage import AppendedRows, SilverPosition, SilverRound
from pipelines.silver.changes import SilverChanges, SnapshotGoneError, silver_changes

_MOST_WAITING = 150_000  # silver rows that may wait for gold; with 300,000 a catch-up takes 0.5 GB more


class Refresh(Protocol):
    """The result of a refresh."""

    @property
    def published(self) -> bool:
        """Whether readers see it already."""


class GoldWriter(Protocol):
    """The one writer of gold, which `warehouse.writer.Warehouse` implements. Pipelines do not import the warehouse."""

    def reflected(self) -> Mapping[str, int]:
        """Silver snapshots that the last refresh reflects, by full table name."""

    def refresh(self, changes: SilverChanges, now: datetime) -> Refresh:
        """Commit one refresh. It is published unless a catch-up has just published another."""

    def complete_deferred(self, now: datetime) -> Refresh | None:
        """Compute what refreshes deferred, and publish. None if nothing was deferred."""

    def archive_closed_days(self) -> bool:
        """Move some closed days to files, which makes later refreshes cheaper. False if none are left."""

    def publish(self) -> None:
        """Publish what refreshes have committed."""

    def discard(self) -> None:
        """Discard everything. The next refresh builds gold from nothing."""


class GoldHandle:
    """A gold writer that is open, or a function that opens it.

    The function is called once, at the first use: by then the run holds the home's lock. The writer is kept over all
    attempts of the run, and the caller closes it.
    """

    def __init__(self, gold: GoldWriter | Callable[[], GoldWriter]) -> None:
        self._open: Callable[[], GoldWriter] | None = gold if callable(gold) else None
        self._writer: GoldWriter | None = None if callable(gold) else gold

    def get(self) -> GoldWriter:
        """The writer, opened if it is not."""
        if self._writer is None:
            assert self._open is not None
            self._writer = self._open()
        return self._writer

    def publish(self) -> None:
        """Publish what refreshes have committed. Does not open the writer, since opening publishes, too."""
        if self._writer is not None:
            self._writer.publish()


@dataclass(frozen=True, slots=True)
class Published:
    """Readers see silver up to these batches, by topic, since `gold_at`."""

    through: Mapping[str, int]
    gold_at: datetime


@dataclass(slots=True)
class _WaitingRows:
    """Rows of one silver table that gold does not have, from snapshot `base` to `snapshot`."""

    base: int | None
    snapshot: int | None
    rows: list[pa.Table] = field(default_factory=list)


class GoldStage:
    """Refreshes. Public methods are for the loop's thread, private ones say which thread they run in."""

    def __init__(self, context: RunContext, lake: Lake, gold: GoldHandle, pacer: BatchPacer) -> None:
        self._context, self._lake, self._gold, self._pacer = context, lake, gold, pacer
        self._executor = ThreadPoolExecutor(1, "gold")
        self._waiting: dict[str, _WaitingRows] = {}
        self._requested = threading.Event()  # set: silver has more than gold; the gold thread reads it
        self._running: Future[datetime | None] | None = None
        self._through: Mapping[str, int] = {}  # topic -> last batch of the last refresh started
        self._may_have_deferred = True

    @property
    def is_requested(self) -> bool:
        """Whether silver has rows that no refresh covers."""
        return self._requested.is_set()

    @property
    def is_busy(self) -> bool:
        """Whether work is under way or requested."""
        return self._running is not None or self.is_requested

    def add(self, done: SilverRound) -> None:
        """Take the rows of a silver round, and request a refresh if there are any."""
        if done.conflict:
            self._waiting.clear()
        for part in done.appended:
            self._add_rows(part)
        if done.appended or done.conflict:
            self.request()

    def _add_rows(self, part: AppendedRows) -> None:
        known = self._waiting.get(part.table)
        if known is None or known.snapshot != part.base:
            known = self._waiting[part.table] = _WaitingRows(part.base, None)
        known.rows.append(part.rows)
        known.snapshot = part.snapshot

    def request(self) -> None:
        """Request a refresh."""
        self._requested.set()

    def advance(self, position: SilverPosition | None) -> Published | None:
        """Start a refresh if one is requested and none is under way; rows that wait meanwhile go into one refresh.

        If many rows wait, first wait for the refresh under way, which bounds memory in catch-up. `position` is
        silver's, None if this run has no silver stage. Returns what a finished refresh published. Raises its error.
        """
        published = None
        rows = sum(part.num_rows for known in self._waiting.values() for part in known.rows)
        if self._running is not None and (self._running.done() or rows > _MOST_WAITING):
            published = self._result()
        if self.is_requested and self._running is None:
            self._start_refresh(position)
        return published

    def wait(self, other: "Future[Any]") -> bool:
        """Wait until `other` or the refresh under way is done. False at once if no refresh waits for another."""
        if self._running is None or not self.is_requested or other.done():
            return False
        futures: Sequence[Future[Any]] = [other, self._running]
        wait_for(futures, return_when=FIRST_COMPLETED)
        return True

    def start_deferred(self) -> bool:
        """Start what refreshes deferred. False if there is nothing of that kind."""
        if not self._may_have_deferred:
            return False
        self._may_have_deferred = False
        self._running = self._executor.submit(self._complete_deferred)
        return True

    def finish(self, position: SilverPosition | None) -> list[Published]:
        """Refresh a last time, complete what was deferred, and publish. With `stop` set, only publish."""
        done = [self._result()] if self._running is not None else []
        if not self._context.stop.is_set() and (self.is_requested or position is None):
            self._start_refresh(position)
            done.append(self._result())
        self._may_have_deferred = True
        self.start_deferred()
        done.append(self._result())
        return [published for published in done if published is not None]

    def pinned_snapshots(self) -> set[int] | None:
        """Silver snapshots that the next refresh reads on from. None while a refresh is under way."""
        return set(self._gold.get().reflected().values()) if self._running is None else None

    def close(self) -> None:
        """Wait for the work under way. The writer stays open."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start_refresh(self, position: SilverPosition | None) -> None:
        self._requested.clear()
        self._may_have_deferred = True
        waiting, self._waiting = self._waiting, {}
        self._through = {} if position is None else position.consumed
        self._pacer.refresh_began()
        self._running = self._executor.submit(self._refresh, waiting, None if position is None else position.state)

    def _result(self) -> Published | None:
        assert self._running is not None
        done, self._running = self._running, None
        gold_at = done.result()
        return None if gold_at is None else Published(self._through, gold_at)

    def _refresh(self, waiting: Mapping[str, _WaitingRows], state: Mapping[str, Any] | None) -> datetime | None:
        """When readers saw the refresh; None if a later one will publish it. Gold thread."""
        with self._context.report.timed("gold"):
            began = time.monotonic()
            gold = self._gold.get()
            changes = self._changes(gold, waiting, state)
            if changes is not None:
                done = gold.refresh(changes, self._context.clock())
                self._pacer.refresh_took(time.monotonic() - began)
                self._context.report.refreshes += 1
                self._context.show_gold()
                if not done.published:
                    return None
            else:
                gold.publish()  # what earlier refreshes committed
        return self._context.clock()

    def _changes(
        self, gold: GoldWriter, waiting: Mapping[str, _WaitingRows], state: Mapping[str, Any] | None
    ) -> SilverChanges | None:
        """Silver since the last refresh: the waiting rows where they begin at what gold reflects, else from Iceberg.

        None if there is nothing to refresh. Gold thread.
        """
        reflected = gold.reflected()
        at_hand = {
            name: (pa.concat_tables(known.rows, promote_options="permissive"), known.snapshot)
            for name, known in waiting.items()
            if known.base == reflected.get(name) and known.snapshot is not None
        }
        try:
            changes = silver_changes(self._lake, reflected, at_hand, state)
        except SnapshotGoneError:
            gold.discard()
            changes = silver_changes(self._lake, {}, None, state)
        if not changes.snapshots:  # readers can open a warehouse that is empty
            return None if self._context.settings.published_path.exists() else changes
        return None if dict(reflected) == dict(changes.snapshots) else changes

    def _complete_deferred(self) -> datetime:
        """When readers saw it. Archives closed days until a refresh is requested. Gold thread."""
        context = self._context
        with context.report.timed("gold"):
            if context.stop.is_set():
                self._gold.publish()
            else:
                self._gold.get().complete_deferred(context.clock())
            published_at = context.clock()
            while context.follow and not self.is_requested and not context.stop.is_set():
                if not self._gold.get().archive_closed_days():
                    break
        return published_at
