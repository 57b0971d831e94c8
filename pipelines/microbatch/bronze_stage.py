"""The bronze stage: reads the log and landing files into bronze, in a thread of its own.

The log, the bronze writers and the landing ingest belong to the reading thread. The loop receives values: the topics
that cannot be read, and a `Round` for each reading.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from pipelines.bronze.landing_ingest import LandingIngestor
from pipelines.bronze.log_gaps import note_gaps
from pipelines.bronze.table import BronzeBatch
from pipelines.bronze.writer import BronzeWriter
from pipelines.contracts.registry import TOPICS
from pipelines.errors import CommitConflictError, LogIdentityError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.log.interface import Log
from pipelines.log.open import open_log
from pipelines.maintenance.background import BackgroundMaintenance
from pipelines.microbatch.context import RunContext

_MAX_SLEEP = 0.5  # seconds between checks whether the attempt has failed, while the reading thread waits
_LANDING_INTERVAL = 1.0  # seconds between two scans of the landing folder
_SETTLE_TIMEOUT = 3.0  # seconds that the end of a run waits for files that were just written


@dataclass(slots=True)
class Round:
    """What one reading committed to bronze."""

    began_at: float  # time.monotonic()
    batches: list[BronzeBatch] = field(default_factory=list)  # at most one a topic, in the order of TOPICS
    landed: set[str] = field(default_factory=set)  # topics with batches from landing files; silver reads these itself
    stopped: dict[str, LogIdentityError] = field(default_factory=dict)  # topics that stop here


class BronzeStage:
    """Reads rounds. Public methods are for the loop's thread, private ones run in the reading thread."""

    def __init__(self, context: RunContext, lake: Lake, maintenance: BackgroundMaintenance) -> None:
        self._context, self._lake, self._maintenance = context, lake, maintenance
        self._executor = ThreadPoolExecutor(1, "bronze")
        self._ending = threading.Event()
        self._log: Log | None = None
        self._writers: list[BronzeWriter] = []
        self._stopped: set[str] = set()
        self._ends: dict[str, Mapping[int, int]] = {}  # where a run without `follow` ends: producers may continue
        self._landed_at = float("-inf")
        self.tables: Sequence[LakeTable] = ()  # owned by the reading thread: see `do`

    def open(self) -> Mapping[str, LogIdentityError]:
        """Open the log and the topics' bronze tables. Returns the topics that cannot be read, with their errors.

        Raises LogUnavailableError, LogRefusedError, StoreUnavailableError, CommitConflictError.
        """
        return self._executor.submit(self._open).result()

    @property
    def has_topics(self) -> bool:
        """Whether any topic can be read."""
        return bool(self._writers)

    def start_round(self, delay: float = 0.0) -> "Future[Round]":
        """Read a round after `delay` seconds. The result may be empty, and is when the run is stopped."""
        return self._executor.submit(self._read_round, delay)

    def do(self, work: Callable[[], None]) -> None:
        """Run `work` in the reading thread, after the reading under way, and wait for it."""
        self._executor.submit(work).result()

    def end(self) -> None:
        """Wake the reading thread if it waits. It reads nothing more."""
        self._ending.set()

    def close(self) -> None:
        """Wait for the reading under way and close the log."""
        self.end()
        try:
            if self._log is not None:
                self._executor.submit(self._log.close).result()
        finally:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _open(self) -> Mapping[str, LogIdentityError]:
        settings = self._context.settings
        self._log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
        self._log.ensure_topics(list(TOPICS), settings.partitions)
        writers, stopped = list[BronzeWriter](), dict[str, LogIdentityError]()
        for topic in TOPICS:
            try:
                writers.append(BronzeWriter(self._lake, self._log, topic))
            except LogIdentityError as error:
                stopped[topic] = error
                self._note_stopped(error)
        note_gaps(self._lake, writers)
        self._landing = LandingIngestor(self._lake, settings.home / "landing", writers, self._context.note)
        if not self._context.follow:
            self._ends = {writer.topic: writer.end_offsets() for writer in writers}
            self._context.total = sum(writer.lag(self._ends[writer.topic]) for writer in writers)
        self._writers = writers
        self.tables = (*(writer.table for writer in writers), self._landing.table)
        return stopped

    def _note_stopped(self, error: LogIdentityError) -> None:
        if self._context.follow:  # otherwise the run ends with it
            self._context.note(str(error))

    def _read_round(self, delay: float) -> Round:
        stop, deadline = self._context.stop, time.monotonic() + delay
        while (left := deadline - time.monotonic()) > 0:
            if stop.wait(min(left, _MAX_SLEEP)) or self._ending.is_set():
                return Round(time.monotonic())
        found = Round(time.monotonic())
        self._ingest_landing(found, wait_for_files=False)
        for writer in self._writers:
            if stop.is_set():
                break
            if writer.topic not in self._stopped and not self._has_ended(writer):
                self._read_topic(writer, found)
        self._maintenance.expire(self.tables)
        if not found.batches and not self._context.follow:
            self._ingest_landing(found, wait_for_files=True)
        return found

    def _has_ended(self, writer: BronzeWriter) -> bool:
        return writer.topic in self._ends and writer.lag(self._ends[writer.topic]) == 0

    def _read_topic(self, writer: BronzeWriter, found: Round) -> None:
        """Read and commit one batch. A topic that is not the one read before stops; the others continue."""
        with self._context.report.timed("bronze"):
            try:
                batch = self._next_batch(writer)
            except LogIdentityError as error:
                self._stopped.add(writer.topic)
                found.stopped[writer.topic] = error
                self._note_stopped(error)
                return
        if batch is not None:
            found.batches.append(batch)
            self._context.polled(writer.topic, batch.rows.num_rows)
            self._context.show_bronze()

    def _next_batch(self, writer: BronzeWriter) -> BronzeBatch | None:
        size, clock = self._context.settings.batch_size, self._context.clock
        try:
            return writer.next_batch(size, clock)
        except CommitConflictError:
            writer.reload()
            return writer.next_batch(size, clock)

    def _ingest_landing(self, found: Round, *, wait_for_files: bool) -> None:
        """Ingest landing files, at most once a second. With `wait_for_files`, wait until new files have settled."""
        if not wait_for_files and time.monotonic() - self._landed_at < _LANDING_INTERVAL:
            return
        deadline = time.monotonic() + _SETTLE_TIMEOUT
        while True:
            self._landed_at = time.monotonic()
            with self._context.report.timed("bronze"):
                ingested = self._landing.ingest(self._context.clock)
            for topic, rows in ingested.items():
                self._context.polled(topic, rows)
                found.landed.add(topic)
            if not wait_for_files or not self._landing.settling or time.monotonic() > deadline:
                return
            if self._context.stop.wait(0.1):
                return
