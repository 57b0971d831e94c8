"""The micro-batch loop: log -> bronze -> silver -> gold, until caught up or for ever.

Three stages overlap: while one round's records are judged, the next round is read from the log and committed to
bronze, and the rounds before it are refreshed into gold. Each stage alone decides what it has done by what its own
tables say, so the process may end between any two lines.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.bronze.landing_ingest import LandingIngestor
from pipelines.bronze.log_gaps import note_gaps
from pipelines.bronze.table import BronzeBatch
from pipelines.bronze.writer import BronzeWriter
from pipelines.clock import Clock
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.errors import (
    CommitConflictError,
    DriftFrozenError,
    LogIdentityError,
    PermanentError,
    RetryableError,
)
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, LakeTable, refuse_unfinished
from pipelines.log.interface import Log
from pipelines.log.open import open_log
from pipelines.maintenance.background import BackgroundMaintenance, OwnedTable
from pipelines.microbatch.gold_stage import _MOST_WAITING, GoldWriter, _Appended
from pipelines.microbatch.pacing import BatchPacer
from pipelines.microbatch.report import Progress, RunReport
from pipelines.silver.batch import Outcome
from pipelines.silver.changes import SilverChanges, SnapshotGoneError, gold_sources, silver_changes
from pipelines.silver.ledger import Ledger
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.topic import SilverTopic

_FLUSH_EVERY = 2.0  # seconds between writes of the ledger while there is work
# Between looks at a log with nothing new, in seconds: (how long nothing came, how long to wait). Measured on two cores:
# 0.05 costs 3.9 % of a core, 0.15 costs 1.5 %; on a machine three times as slow 0.15 costs 6.6 %.
_IDLE_WAITS = ((1.0, 0.01), (5.0, 0.05), (15.0, 0.15), (float("inf"), 0.4))
_LONGEST_NAP = 0.5  # seconds after which a waiting reader looks whether the run has failed meanwhile
_SILVER_WAIT = 0.2  # the same, for silver without bronze
_IDLE_AFTER = 1.0  # seconds without a record; then there is time for maintenance
_BACKOFF = (0.5, 10.0)
_MOST_CONFLICTS = 10  # commits lost to another writer one after the other, before a run gives up
_LAND_EVERY, _SETTLE_WAIT = 1.0, 3.0  # seconds


def run(
    settings: Settings,
    layers: Collection[str],
    *,
    follow: bool,
    gold: GoldWriter | None,
    clock: Clock,
    progress: Callable[[Progress], None],
    stop: threading.Event,
) -> RunReport:
    """Run the layers until nothing is left of what the log held at the start, or until `stop` is set.

    With `follow`, what a retry may mend is retried with backoff, and said through `progress`. Raises LakehouseError;
    a second run on a home raises AlreadyRunningError. Drift under `freeze` and a topic that is not the one that was
    read stop that topic alone: DriftFrozenError and LogIdentityError are raised at the end.
    """
    report = RunReport()
    with home_lock(settings.home):
        wait, conflicts = _BACKOFF[0], 0
        while True:
            began = report.rounds
            try:
                _RunLoop(settings, layers, follow, gold, clock, progress, stop, report).until_done()
                return report
            except RetryableError as error:
                conflicts = conflicts + 1 if isinstance(error, CommitConflictError) and report.rounds == began else 0
                lost_race = isinstance(error, CommitConflictError) and conflicts < _MOST_CONFLICTS
                if stop.is_set() or not (follow or lost_race):
                    raise
                if lost_race:
                    continue  # what the other writer committed is where this one goes on
                wait = _BACKOFF[0] if report.rounds > began else min(wait * 2, _BACKOFF[1])
                progress(Progress("all", report.polled, None, f"{error} Trying again in {wait:.0f} s."))
                if stop.wait(wait):
                    return report


class _RunLoop:
    """One attempt: everything it holds is loaded from the tables, so a new one goes on after any error."""

    def __init__(
        self,
        settings: Settings,
        layers: Collection[str],
        follow: bool,
        gold: GoldWriter | None,
        clock: Clock,
        progress: Callable[[Progress], None],
        stop: threading.Event,
        report: RunReport,
    ) -> None:
        self._settings, self._layers, self._follow = settings, layers, follow
        self._gold = gold if "gold" in layers else None
        self._clock, self._progress, self._stop, self._report = clock, progress, stop, report
        self._lake = Lake.open(settings)
        self._silver: dict[str, SilverTopic] = {}
        self._frozen: dict[str, DriftFrozenError] = {}
        self._lost: dict[str, LogIdentityError] = {}  # topics whose log is not the one that was read
        self._appended: dict[str, _Appended] = {}
        self._pace = BatchPacer(settings.freshness_target.total_seconds())
        self._refreshing: Future[datetime | None] | None = None
        self._in_refresh: dict[str, int] = {}  # topic -> last batch that the refresh under way covers
        self._gold_asked = self._is_ending = False
        self._is_settled = False  # gold may have left something for later
        self._flushed_at = time.monotonic()
        self._landed: set[str] = set()  # topics that files brought batches to
        self._landed_at = float("-inf")
        self._total: int | None = None
        self._ends: dict[str, Mapping[int, int]] = {}  # where a run ends that does not follow: producers may go on

    def until_done(self) -> None:
        """The whole attempt."""
        refuse_unfinished(self._lake)
        log: Log | None = None
        readers, refreshers = ThreadPoolExecutor(1, "bronze"), ThreadPoolExecutor(1, "gold")
        self._refreshers = refreshers
        self._upkeep = BackgroundMaintenance(self._lake, self._settings, self._clock, self._say)
        try:
            writers: list[BronzeWriter] = []
            if "bronze" in self._layers:
                log = readers.submit(self._open_log).result()
                writers = readers.submit(self._open_bronze, log).result()
            if "silver" in self._layers:
                self._open_silver()
            if "silver" in self._layers:
                self._catch_up_silver()
            self._rounds(writers, readers)
            self._finish_gold()
            self._flush(force=True)
            if self._gold is not None and not self._silver:
                self._expire_fed([table for name in gold_sources() if (table := self._lake.find(name)) is not None])
        finally:
            self._is_ending = True
            self._upkeep.close()
            if log is not None:
                readers.submit(log.close).result()
            readers.shutdown(wait=True, cancel_futures=True)
            refreshers.shutdown(wait=True, cancel_futures=True)
            self._lake.close()
        stopped: list[PermanentError] = [*self._lost.values(), *self._frozen.values()]
        if stopped:
            raise type(stopped[0])("\n".join(str(error) for error in stopped))

    def _open_silver(self) -> None:
        self._quarantine = Quarantine(self._lake)
        self._ledger = Ledger(self._lake)
        for topic in TOPICS:
            self._silver[topic] = SilverTopic(self._lake, topic, self._settings.policy(topic))

    # bronze; the log belongs to the one reading thread

    def _open_log(self) -> Log:
        log = open_log(self._settings.log_url, kafka=self._settings.kafka, topic_prefix=self._settings.topic_prefix)
        try:
            log.ensure_topics(list(TOPICS), self._settings.partitions)
        except BaseException:
            log.close()
            raise
        return log

    def _open_bronze(self, log: Log) -> list[BronzeWriter]:
        writers = []
        for topic in TOPICS:
            try:
                writers.append(BronzeWriter(self._lake, log, topic))
            except LogIdentityError as error:
                self._lose(topic, error)
        note_gaps(self._lake, writers)
        self._intake = LandingIngestor(self._lake, self._settings.home / "landing", writers, self._say)
        if not self._follow:
            self._ends = {writer.topic: writer.end_offsets() for writer in writers}
            self._total = sum(writer.lag(self._ends[writer.topic]) for writer in writers)
        self._read_into = [*(writer.table for writer in writers), self._intake.table]
        return writers

    def _rounds(self, writers: list[BronzeWriter], readers: ThreadPoolExecutor) -> None:
        """Rounds until the log has nothing new (or for ever).

        Where there is more to read than a batch holds, the next is read while this one is judged; else when it is time.
        """
        if not writers:
            while "silver" in self._layers and self._follow and not self._stop.wait(_SILVER_WAIT):
                self._catch_up_silver()
                self._refresh_when_free()
                self._flush(force=False)
                self._maintain([])
            return
        reading = readers.submit(self._read_round, writers)
        idle_since = time.monotonic()
        while True:
            batches = self._await(reading)
            if self._stop.is_set() or (not batches and not self._follow):
                break
            has_more = not self._follow or any(batch.rows.num_rows >= self._settings.batch_size for batch in batches)
            if has_more:
                reading = readers.submit(self._read_round, writers)
            if batches:
                idle_since = time.monotonic()
                self._report.rounds += 1
            if "silver" in self._layers:
                self._judge_round(batches)
                self._judge_files()
            self._refresh_when_free()
            if not has_more:
                if batches:
                    self._pace.round_took(time.monotonic() - self._read_at)
                    if self._gold is None:
                        self._pace.refresh_began()  # what the round would be in time for
                wait = self._pace.wait(is_waiting=self._gold_asked) if batches else self._wait(idle_since)
                reading = readers.submit(self._read_round, writers, wait)
            self._flush(force=False)
            if not batches and time.monotonic() - idle_since > _IDLE_AFTER:
                self._maintain(
                    [OwnedTable(table, lambda work: readers.submit(work).result()) for table in self._read_into]
                )
        if "silver" in self._layers:
            self._judge_round(batches)
            self._judge_files()

    def _await(self, reading: "Future[list[BronzeBatch]]") -> list[BronzeBatch]:
        """What was read; meanwhile what silver has got goes to gold as soon as gold is free."""
        while self._refreshing is not None and self._gold_asked and not reading.done():
            either: list[Future[Any]] = [reading, self._refreshing]
            wait_for(either, return_when=FIRST_COMPLETED)
            self._refresh_when_free()
        return reading.result()

    def _judge_files(self) -> None:
        """Consume what landing files brought to bronze: it is read from there, since files may be large."""
        while self._landed:
            silver = self._silver[self._landed.pop()]
            with self._report.timed("silver"):
                self._consume_pending(silver)

    def _wait(self, idle_since: float) -> float:
        idle = time.monotonic() - idle_since
        return next(wait for until, wait in _IDLE_WAITS if idle < until)

    def _read_round(self, writers: list[BronzeWriter], wait: float = 0.0) -> list[BronzeBatch]:
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            if self._stop.wait(min(left, _LONGEST_NAP)) or self._is_ending:
                return []
        self._read_at = time.monotonic()
        found = []
        self._land(wait_for_files=False)
        for writer in writers:
            if self._stop.is_set():
                break
            if writer.topic in self._lost or self._has_ended(writer):
                continue
            with self._report.timed("bronze"):
                try:
                    batch = self._next_batch(writer)
                except LogIdentityError as error:
                    self._lose(writer.topic, error)
                    continue
            if batch is not None:
                found.append(batch)
                self._report.topics[writer.topic].polled += batch.rows.num_rows
                self._progress(Progress("bronze", self._report.polled, self._total))
        self._upkeep.expire(self._read_into)
        if not found and not self._follow:
            self._land(wait_for_files=True)
        return found

    def _has_ended(self, writer: BronzeWriter) -> bool:
        return writer.topic in self._ends and writer.lag(self._ends[writer.topic]) == 0

    def _next_batch(self, writer: BronzeWriter) -> BronzeBatch | None:
        try:
            return writer.next_batch(self._settings.batch_size, self._clock)
        except CommitConflictError:
            writer.reload()
            return writer.next_batch(self._settings.batch_size, self._clock)

    def _lose(self, topic: str, error: LogIdentityError) -> None:
        """This topic stops and all others go on."""
        self._lost[topic] = error
        if self._follow:
            self._say(str(error))

    def _land(self, *, wait_for_files: bool) -> None:
        """Ingest landing files, at most every second; at the end of a run, wait for those just dropped to settle."""
        if not wait_for_files and time.monotonic() - self._landed_at < _LAND_EVERY:
            return
        deadline = time.monotonic() + _SETTLE_WAIT
        while True:
            self._landed_at = time.monotonic()
            with self._report.timed("bronze"):
                taken = self._intake.ingest(self._clock)
            for topic, rows in taken.items():
                self._report.topics[topic].polled += rows
                self._landed.add(topic)
            if not wait_for_files or not self._intake.settling or time.monotonic() > deadline:
                return
            if self._stop.wait(0.1):
                return

    def _say(self, note: str) -> None:
        self._progress(Progress("bronze", self._report.polled, None, note))

    # silver

    def _catch_up_silver(self) -> None:
        """Consume what bronze holds and silver has not: after a crash, or bronze run alone."""
        for topic, silver in self._silver.items():
            if topic in self._frozen:
                continue
            for batch in silver.pending(self._settings.batch_size):
                if self._stop.is_set():
                    return
                self._judge_round([batch])
                self._refresh_when_free()
                self._flush(force=False)
                if topic in self._frozen:
                    break
        self._gold_asked = True

    def _consume_pending(self, silver: SilverTopic) -> None:
        for missing in silver.pending(self._settings.batch_size):
            if silver.topic not in self._frozen and not self._stop.is_set():
                self._commit_round([missing])

    def _judge_round(self, batches: list[BronzeBatch]) -> None:
        with self._report.timed("silver"):
            try:
                self._commit_round(batches)
            except CommitConflictError:
                # Somebody else consumed these batches, or part of them: take the tables as they are and go on.
                self._quarantine.reload()
                for silver in self._silver.values():
                    silver.reload()
                self._appended.clear()
                for batch in batches:
                    self._consume_pending(self._silver[batch.topic])
            except BaseException:
                self._appended.clear()
                raise

    def _commit_round(self, batches: list[BronzeBatch]) -> None:
        outcomes = []
        for batch in batches:
            if batch.topic in self._frozen:
                continue
            outcome = self._work_out(batch)
            if outcome is not None:
                outcomes.append(outcome)
        if not outcomes:
            return
        fault_point("silver.worked_out")
        self._quarantine.commit(outcomes)
        for outcome in outcomes:
            silver = self._silver[outcome.topic]
            before = {table.name: table.rows_snapshot_id for table in silver.tables}
            silver.commit(outcome)
            self._note_appended(silver, before, outcome)
            self._report.count(outcome)
        self._gold_asked = True
        self._progress(Progress("silver", self._report.judged, self._total))

    def _work_out(self, batch: BronzeBatch) -> Outcome | None:
        silver = self._silver[batch.topic]
        try:
            if batch.first_batch_id > silver.consumed + 1:
                # Batches before this one, of files or of another writer, come first; this one may be among them.
                self._consume_pending(silver)
            return silver.work_out(batch, self._quarantine, self._clock)
        except DriftFrozenError as error:
            self._frozen[batch.topic] = error
            silver.reload()
            if self._follow:  # else the run ends with it
                self._say(str(error))
            return None

    def _note_appended(self, silver: SilverTopic, before: Mapping[str, int | None], outcome: Outcome) -> None:
        if self._gold is None:
            return
        for table, rows in silver.appended(outcome).items():
            name = table.name
            known = self._appended.get(name)
            if known is None or known.snapshot != before[name]:
                known = self._appended[name] = _Appended(before[name], None)
            known.rows.append(rows)
            known.snapshot = table.snapshot_id

    # gold

    def _refresh_when_free(self) -> None:
        """Hand over what silver has got since, unless a refresh is under way; what waits is handed over together.

        When much waits already, silver waits for the refresh, so that memory stays bounded in catch-up.
        """
        waiting = sum(rows.num_rows for known in self._appended.values() for rows in known.rows)
        if self._refreshing is not None and (self._refreshing.done() or waiting > _MOST_WAITING):
            self._refreshed()
        if self._gold is not None and self._gold_asked and self._refreshing is None:
            self._start_refresh()

    def _start_refresh(self) -> None:
        assert self._gold is not None
        self._gold_asked = self._is_settled = False
        appended, self._appended = self._appended, {}
        self._in_refresh = {topic: silver.consumed for topic, silver in self._silver.items()}
        state = (
            {topic: (silver.partitions, silver.policy_of(silver.consumed)) for topic, silver in self._silver.items()}
            if self._silver
            else None
        )
        self._pace.refresh_began()
        self._refreshing = self._refreshers.submit(self._refresh, self._gold, appended, state)

    def _refreshed(self) -> None:
        assert self._refreshing is not None
        done, self._refreshing = self._refreshing, None
        gold_at = done.result()
        if gold_at is not None:
            self._flush_through(self._in_refresh, gold_at)

    def _finish_gold(self) -> None:
        if self._refreshing is not None:
            self._refreshed()
        if self._gold is not None and not self._stop.is_set() and (self._gold_asked or not self._silver):
            self._start_refresh()
            self._refreshed()
        if self._gold is not None:
            self._start_settling()
            self._refreshed()

    def _start_settling(self) -> None:
        assert self._gold is not None
        self._is_settled = True
        self._refreshing = self._refreshers.submit(self._settle, self._gold)

    def _settle(self, gold: GoldWriter) -> datetime:
        with self._report.timed("gold"):
            if self._stop.is_set():
                gold.publish()
            else:
                gold.complete_deferred(self._clock())
            published_at = self._clock()
            while self._follow and not self._gold_asked and not self._stop.is_set() and gold.archive_closed_days():
                pass
        return published_at

    def _refresh(self, gold: GoldWriter, appended: Mapping[str, _Appended], state: Any) -> datetime | None:
        """When readers saw it; None when they will see it with a later one."""
        with self._report.timed("gold"):
            began = time.monotonic()
            changes = self._changes(gold, appended, state)
            if changes is not None:
                done = gold.refresh(changes, self._clock())
                self._pace.refresh_took(time.monotonic() - began)
                self._report.refreshes += 1
                self._progress(Progress("gold", self._report.refreshes, None))
                if not done.published:
                    return None
            else:
                gold.publish()  # what an earlier one left
        return self._clock()

    def _changes(self, gold: GoldWriter, appended: Mapping[str, _Appended], state: Any) -> SilverChanges | None:
        """Silver since the last refresh: what this run appended where that is the whole of it, else from Iceberg."""
        reflected = gold.reflected()
        at_hand = {
            name: (pa.concat_tables(known.rows, promote_options="permissive"), known.snapshot)
            for name, known in appended.items()
            if known.base == reflected.get(name) and known.snapshot is not None
        }
        try:
            changes = silver_changes(self._lake, reflected, at_hand, state)
        except SnapshotGoneError:
            gold.discard()
            changes = silver_changes(self._lake, {}, None, state)
        if not changes.snapshots:  # an empty warehouse is one that readers can open
            return None if self._settings.published_path.exists() else changes
        return None if dict(reflected) == dict(changes.snapshots) else changes

    # ledger and housekeeping

    def _flush_through(self, through: Mapping[str, int], gold_at: datetime) -> None:
        """Entries that gold reflects now: they are written with the time, when it is time to."""
        for topic, silver in self._silver.items():
            for entry in silver.ledger:
                if entry.batch_id <= through.get(topic, 0) and entry.gold_at is None:
                    entry.gold_at = gold_at

    def _flush(self, *, force: bool) -> None:
        if not self._silver or not (force or time.monotonic() - self._flushed_at > _FLUSH_EVERY):
            return
        self._flushed_at = time.monotonic()
        ready = {
            topic: [entry for entry in silver.ledger if force or self._gold is None or entry.gold_at is not None]
            for topic, silver in self._silver.items()
        }
        with self._report.timed("ledger"):
            self._ledger.flush(ready)
            flushed = self._ledger.flushed()
            for topic, silver in self._silver.items():
                silver.ledger = [entry for entry in silver.ledger if entry.batch_id > flushed.get(topic, 0)]
            self._upkeep.expire((*self._quarantine.tables, *self._ledger.tables))
            self._expire_fed([table for silver in self._silver.values() for table in silver.tables])

    def _expire_fed(self, tables: list[LakeTable]) -> None:
        """Those that gold reads on from a snapshot of stay from that one on; nobody knows which while it moves."""
        if self._gold is not None and self._refreshing is None:
            self._upkeep.expire(tables, set(self._gold.reflected().values()))

    def _maintain(self, others: list[OwnedTable]) -> None:
        """A piece of maintenance, unless there is something better to do."""
        is_gold_behind = self._gold is not None and (self._gold_asked or self._refreshing is not None)
        if is_gold_behind or self._stop.is_set():
            return
        if self._gold is not None and not self._is_settled:
            self._start_settling()
            return
        own: list[LakeTable] = []
        if self._silver:
            own += (*self._quarantine.tables, *self._ledger.tables)
            own += (table for silver in self._silver.values() for table in silver.tables)
        self._upkeep.step([*others, *(OwnedTable(table, lambda work: work()) for table in own)])
