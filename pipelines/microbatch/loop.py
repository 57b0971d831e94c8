"""The micro-batch loop: log -> bronze -> silver -> gold, until caught up or until stopped.

Three stages overlap. While silver processes one round, bronze reads the next one from the log, and gold is refreshed
with earlier ones. Each stage derives its position from its own tables only, so the process may be killed at any point.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing

from pipelines.clock import Clock
from pipelines.config.settings import Settings
from pipelines.errors import CommitConflictError, LogIdentityError, PermanentError, RetryableError
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, refuse_unfinished
from pipelines.maintenance.background import BackgroundMaintenance, OwnedTable
from pipelines.microbatch.bronze_stage import BronzeStage, Round
from pipelines.microbatch.context import RunContext
from pipelines.microbatch.gold_stage import GoldHandle, GoldStage, GoldWriter, Published
from pipelines.microbatch.housekeeping import Housekeeping
from pipelines.microbatch.ledger_flush import LedgerFlush
from pipelines.microbatch.observers import BatchObserver, Observers
from pipelines.microbatch.pacing import BatchPacer, idle_delay
from pipelines.microbatch.report import Progress, RunReport
from pipelines.microbatch.silver_stage import SilverPosition, SilverRound, SilverStage
from pipelines.silver.changes import gold_sources
from pipelines.silver.ledger import Ledger
from pipelines.silver.quarantine_table import Quarantine

_SILVER_INTERVAL = 0.2  # seconds between checks for new bronze batches, for a run of silver without bronze
_IDLE_AFTER = 1.0  # seconds without a record after which maintenance begins
_MIN_BACKOFF, _MAX_BACKOFF = 0.5, 10.0  # seconds
_MAX_CONFLICTS = 10  # commits lost in a row to another writer, before a run gives up


def run(
    settings: Settings,
    layers: Collection[str],
    *,
    follow: bool,
    gold: GoldWriter | Callable[[], GoldWriter] | None,
    clock: Clock,
    progress: Callable[[Progress], None],
    stop: threading.Event,
    observers: Sequence[BatchObserver] = (),
) -> RunReport:
    """Run the layers until all records that the log held at the start are processed, or until `stop` is set.

    With `follow`, run until `stop` is set: retryable errors are sent through `progress` and retried with backoff.
    `gold` is the writer of gold or a function that opens it; the caller closes it. `observers` see each batch after
    its silver commit.

    Raises LakehouseError; AlreadyRunningError if another run writes the home. A topic that meets drift under `freeze`,
    or that is not the one read before, stops alone: DriftFrozenError or LogIdentityError is raised at the end.
    """
    report, handle = RunReport(), GoldHandle(gold) if gold is not None and "gold" in layers else None
    with home_lock(settings.home):
        backoff, conflicts = _MIN_BACKOFF, 0
        while True:
            rounds_before = report.rounds
            try:
                _attempt(RunContext(settings, follow, clock, stop, report, progress), layers, handle, observers)
                return report
            except RetryableError as error:
                made_progress = report.rounds > rounds_before
                conflicts = conflicts + 1 if isinstance(error, CommitConflictError) and not made_progress else 0
                lost_race = isinstance(error, CommitConflictError) and conflicts < _MAX_CONFLICTS
                if stop.is_set() or not (follow or lost_race):
                    raise
                if lost_race:
                    continue  # from what the other writer committed
                backoff = _MIN_BACKOFF if made_progress else min(backoff * 2, _MAX_BACKOFF)
                progress(Progress("all", report.polled, None, f"{error} Trying again in {backoff:.0f} s."))
                if stop.wait(backoff):
                    return report


def _attempt(
    context: RunContext, layers: Collection[str], handle: GoldHandle | None, observers: Sequence[BatchObserver]
) -> None:
    """Open the stages, run them until done, close them. Raises the errors of topics that stopped."""
    with ExitStack() as stack:
        lake = stack.enter_context(closing(Lake.open(context.settings)))
        refuse_unfinished(lake)
        loop = RunLoop(context, lake, Observers(context, observers), handle)
        stack.callback(loop.close)
        loop.open(layers)
        loop.catch_up()
        loop.run()
        loop.finish()
    stopped = loop.stopped()
    if stopped:
        raise type(stopped[0])("\n".join(str(error) for error in stopped))


class RunLoop:
    """One attempt. All its state is loaded from the tables, so a new attempt continues after any error."""

    def __init__(self, context: RunContext, lake: Lake, observers: Observers, handle: GoldHandle | None) -> None:
        self._context, self._lake, self._observers = context, lake, observers
        self._pacer = BatchPacer(context.settings.freshness_target.total_seconds())
        self._maintenance = BackgroundMaintenance(lake, context.settings, context.clock, context.note)
        self._bronze: BronzeStage | None = None
        self._silver: SilverStage | None = None
        self._gold = None if handle is None else GoldStage(context, lake, handle, self._pacer)
        self._housekeeping = Housekeeping(context, self._maintenance, self._gold, observers)
        self._not_read: dict[str, LogIdentityError] = {}  # topics whose log is not the one read before

    def open(self, layers: Collection[str]) -> None:
        """Open the stages of these layers."""
        if "bronze" in layers:
            self._bronze = BronzeStage(self._context, self._lake, self._maintenance)
            self._not_read.update(self._bronze.open())
        if "silver" in layers:
            self._open_silver()

    def _open_silver(self) -> None:
        quarantine, ledger, has_gold = Quarantine(self._lake), Ledger(self._lake), self._gold is not None
        committed = self._observers.committed
        self._silver = SilverStage(self._context, self._lake, quarantine, committed, keep_rows=has_gold)
        self._ledger = LedgerFlush(ledger, self._silver.topics, wait_for_gold=has_gold)
        self._housekeeping.shared = (*quarantine.tables, *ledger.tables)
        self._housekeeping.silver = self._silver.tables
        self._observers.open(self._lake, self._silver.position().consumed)

    def close(self) -> None:
        """Stop all threads after what they are doing."""
        with ExitStack() as stack:  # in reverse order, each also after an error of another
            if self._gold is not None:
                stack.callback(self._gold.close)
            if self._bronze is not None:
                stack.callback(self._bronze.close)
            stack.callback(self._maintenance.close)
            if self._bronze is not None:
                stack.callback(self._bronze.end)

    def stopped(self) -> list[PermanentError]:
        """The errors of topics that stopped while the others continued."""
        return [*self._not_read.values(), *(self._silver.frozen.values() if self._silver is not None else ())]

    def catch_up(self) -> None:
        """Consume what bronze holds and silver has not consumed."""
        if self._silver is None:
            return
        for batch in self._silver.pending():
            if self._context.stop.is_set():
                return
            self._hand_over(self._silver.process([batch]))
            self._advance_gold()
            self._flush()
        if self._gold is not None:
            self._gold.request()

    def run(self) -> None:
        """Process rounds until the log has nothing new, or until stopped."""
        if self._bronze is not None and self._bronze.has_topics:
            self._rounds(self._bronze)
            return
        while self._silver is not None and self._context.follow and not self._context.stop.wait(_SILVER_INTERVAL):
            self.catch_up()
            self._advance_gold()
            self._flush()
            self._housekeeping.step()

    def finish(self) -> None:
        """Bring gold and ledger up to date with silver, unless the run is stopped: then publish what is committed."""
        if self._gold is not None:
            for published in self._gold.finish(self._position()):
                self._mark_in_gold(published)
        if self._silver is not None:
            self._flush(everything=True)
        elif self._gold is not None:
            found = (self._lake.find(name) for name in gold_sources())
            self._housekeeping.silver = [table for table in found if table is not None]
            self._housekeeping.expire()

    def _rounds(self, bronze: BronzeStage) -> None:
        """Where there is more to read than a batch holds, read the next round while silver processes this one.

        Otherwise the pacer says when to read it.
        """
        context = self._context
        reading, idle_since = bronze.start_round(), time.monotonic()
        while True:
            found = self._await(reading)
            if context.stop.is_set() or not (found.batches or context.follow):
                break
            is_full = any(batch.rows.num_rows >= context.settings.batch_size for batch in found.batches)
            has_more = is_full or not context.follow
            if has_more:
                reading = bronze.start_round()
            if found.batches:
                idle_since = time.monotonic()
                context.report.rounds += 1
            self._process(found)
            self._advance_gold()
            if not has_more:
                reading = bronze.start_round(self._delay(found, idle_since))
            self._flush()
            if not found.batches and time.monotonic() - idle_since > _IDLE_AFTER:
                self._housekeeping.step(OwnedTable(table, bronze.do) for table in bronze.tables)
        self._process(found)

    def _await(self, reading: "Future[Round]") -> Round:
        """The round read. Meanwhile, rows that wait for gold are handed over as soon as its refresh has ended."""
        while self._gold is not None and self._gold.wait(reading):
            self._advance_gold()
        found = reading.result()
        self._not_read.update(found.stopped)
        return found

    def _process(self, found: Round) -> None:
        if self._silver is not None:
            self._hand_over(self._silver.process(found.batches))
            for topic in found.landed:
                self._hand_over(self._silver.process_landed(topic))

    def _delay(self, found: Round, idle_since: float) -> float:
        """Seconds until the next round should be read."""
        if not found.batches:
            return idle_delay(time.monotonic() - idle_since)
        self._pacer.round_took(time.monotonic() - found.began_at)
        if self._gold is None:
            self._pacer.refresh_began()  # rounds are paced as if each were refreshed at once
        return self._pacer.wait(is_waiting=self._gold is not None and self._gold.is_requested)

    def _position(self) -> SilverPosition | None:
        return None if self._silver is None else self._silver.position()

    def _hand_over(self, done: SilverRound) -> None:
        if self._gold is not None:
            self._gold.add(done)

    def _advance_gold(self) -> None:
        if self._gold is not None and (published := self._gold.advance(self._position())) is not None:
            self._mark_in_gold(published)

    def _mark_in_gold(self, published: Published) -> None:
        if self._silver is not None:
            self._ledger.mark_in_gold(published)

    def _flush(self, *, everything: bool = False) -> None:
        """Write the ledger when it is due, and expire some snapshots."""
        if self._silver is not None and (everything or self._ledger.is_due):
            with self._context.report.timed("ledger"):
                self._ledger.flush(everything=everything)
                self._housekeeping.expire()
