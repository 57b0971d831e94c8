"""The silver stage: assigns verdicts to bronze batches and commits them, in the loop's thread.

It returns the rows it appended. The loop hands these to gold, so gold need not read them from Iceberg.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipelines.bronze.table import BronzeBatch
from pipelines.contracts.registry import TOPICS
from pipelines.errors import CommitConflictError, DriftFrozenError
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.microbatch.context import RunContext
from pipelines.silver.batch import Outcome
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.topic import SilverTopic


@dataclass(frozen=True, slots=True)
class AppendedRows:
    """Rows that one commit appended to a silver table."""

    table: str
    base: int | None  # snapshot id before the commit; None for an empty table
    snapshot: int | None  # and after it
    rows: pa.Table


@dataclass(slots=True)
class SilverRound:
    """What the silver stage committed in one call.

    After `conflict` another writer has committed to silver: rows returned earlier do not lead to the current snapshots.
    """

    appended: list[AppendedRows] = field(default_factory=list)
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class SilverPosition:
    """How far silver is, by topic: the last bronze batch consumed, and the watermark state with its policy."""

    consumed: Mapping[str, int]
    state: Mapping[str, Any]  # as `pipelines.silver.changes.stored_state` returns it


class SilverStage:
    """All topics' silver tables. Any error but CommitConflictError and DriftFrozenError ends the attempt.

    `on_commit` is called with each outcome after its commit. `keep_rows`: whether rounds carry the appended rows.
    """

    def __init__(
        self,
        context: RunContext,
        lake: Lake,
        quarantine: Quarantine,
        on_commit: Callable[[Outcome], None],
        *,
        keep_rows: bool,
    ) -> None:
        self._context, self._quarantine, self._on_commit = context, quarantine, on_commit
        self._keep_rows = keep_rows
        self.topics = {topic: SilverTopic(lake, topic, context.settings.policy(topic)) for topic in TOPICS}
        self.frozen: dict[str, DriftFrozenError] = {}  # topics that stopped at an unknown field

    @property
    def tables(self) -> list[LakeTable]:
        """The topics' tables, without the quarantine's."""
        return [table for topic in self.topics.values() for table in topic.tables]

    def position(self) -> SilverPosition:
        """How far silver is now."""
        return SilverPosition(
            {topic: silver.consumed for topic, silver in self.topics.items()},
            {topic: (silver.partitions, silver.policy_of(silver.consumed)) for topic, silver in self.topics.items()},
        )

    def pending(self) -> Iterator[BronzeBatch]:
        """Batches that bronze holds and silver has not consumed: after a crash, or after bronze ran alone.

        The caller passes each to `process` before it takes the next one.
        """
        for topic, silver in self.topics.items():
            if topic in self.frozen:
                continue
            for batch in silver.pending(self._context.settings.batch_size):
                yield batch
                if topic in self.frozen:
                    break

    def process(self, batches: Sequence[BronzeBatch]) -> SilverRound:
        """Assign verdicts to the batches and commit them. After a lost race, continue from what the tables hold now."""
        done = SilverRound()
        with self._context.report.timed("silver"):
            try:
                self._commit(batches, done)
            except CommitConflictError:
                done = SilverRound(conflict=True)
                self._quarantine.reload()
                for silver in self.topics.values():
                    silver.reload()
                for batch in batches:
                    self._process_pending(self.topics[batch.topic], done)
        return done

    def process_landed(self, topic: str) -> SilverRound:
        """Consume the topic's batches from landing files. They are read from bronze, since files may be large."""
        done = SilverRound()
        with self._context.report.timed("silver"):
            self._process_pending(self.topics[topic], done)
        return done

    def _process_pending(self, silver: SilverTopic, done: SilverRound) -> None:
        for batch in silver.pending(self._context.settings.batch_size):
            if silver.topic not in self.frozen and not self._context.stop.is_set():
                self._commit([batch], done)

    def _commit(self, batches: Sequence[BronzeBatch], done: SilverRound) -> None:
        outcomes = [outcome for batch in batches if (outcome := self._outcome(batch, done)) is not None]
        if not outcomes:
            return
        fault_point("silver.worked_out")
        self._quarantine.commit(outcomes)
        for outcome in outcomes:
            self._commit_topic(outcome, done)
        self._context.show_silver()

    def _outcome(self, batch: BronzeBatch, done: SilverRound) -> Outcome | None:
        """None if the topic is frozen or the batch is consumed already."""
        if batch.topic in self.frozen:
            return None
        silver = self.topics[batch.topic]
        try:
            if batch.first_batch_id > silver.consumed + 1:
                # Batches of landing files or of another writer precede this one, and may include it.
                self._process_pending(silver, done)
            return silver.transform(batch, self._quarantine, self._context.clock)
        except DriftFrozenError as error:
            self.frozen[batch.topic] = error
            silver.reload()
            if self._context.follow:  # otherwise the run ends with it
                self._context.note(str(error))
            return None

    def _commit_topic(self, outcome: Outcome, done: SilverRound) -> None:
        silver = self.topics[outcome.topic]
        before = {table.name: table.rows_snapshot_id for table in silver.tables}
        silver.commit(outcome)
        if self._keep_rows:
            done.appended += (
                AppendedRows(table.name, before[table.name], table.snapshot_id, rows)
                for table, rows in silver.appended(outcome).items()
            )
        self._context.report.count(outcome)
        self._on_commit(outcome)
