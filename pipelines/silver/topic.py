"""The silver tables of one topic: reads pending bronze batches, has them transformed, and commits the outcome.

Of a topic's tables the checkpoint table (`silver.<topic>`) is committed last and stores the state, so a run continues
there. A table that is ahead of it, because a run ended between two commits, skips the rows it has: to repeat a batch
adds nothing.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import pyarrow as pa

from pipelines.bronze.removed_range import refuse_truncated
from pipelines.bronze.table import BatchCommit, BronzeBatch, batch_commits, ensure_bronze
from pipelines.clock import Clock
from pipelines.config.policies import Policy
from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import checkpoint_table, lines_schema, lines_table, silver_schema
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.parsing.parse import Layouts
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.batch import Lookups, Outcome, after_batch, transform
from pipelines.silver.batch_rows import rows_after_batch
from pipelines.silver.ledger import BatchEntry, encode_entries, fill_in_commit, stored_entries
from pipelines.silver.pending import last_batch, pending_batches
from pipelines.silver.policy_history import PROPERTY, PolicyHistory, recorded_policies
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.record_lookup import RecordLookup
from pipelines.silver.release_waivers import ReleaseLookups
from pipelines.silver.state import TopicState
from pipelines.silver.watermark import UNBOUNDED, PartitionState, horizon


class SilverTopic:
    """One topic's silver tables, with the state that verdicts depend on. One thread, one holder.

    `source` is the lake whose bronze is read and whose policies are used, for a rebuild beside it; without it, both are
    those of `lake`. `piece_rows` is the most rows transformed at a time. It affects the speed alone.
    """

    def __init__(
        self, lake: Lake, topic: str, policy: Policy, *, source: Lake | None = None, piece_rows: int | None = None
    ) -> None:
        self.contract, self.topic = CONTRACTS[topic], topic
        self._piece_rows = piece_rows
        self.bronze = ensure_bronze(source or lake, topic)
        recorded = recorded_policies(source, topic) if source is not None else None
        self.checkpoint_table = lake.ensure(
            checkpoint_table(topic),
            silver_schema(topic),
            day_of="event_time",
            properties={f"animeverse.{PROPERTY}": (recorded or PolicyHistory.starting_with(policy)).to_json()},
        )
        lines = lines_table(topic)
        self.lines_table = None if lines is None else lake.ensure(lines, lines_schema(topic), day_of="event_time")
        self._layouts = Layouts()
        self._records = RecordLookup(self.bronze, self.checkpoint_table)
        self._load_state()
        if source is None:
            self._change_policy(policy)

    def _load_state(self) -> None:
        self._state = TopicState.of(self.checkpoint_table)
        refuse_truncated(self.bronze, self.consumed)
        self.ledger: list[BatchEntry] = stored_entries(self.checkpoint_table)
        contract_columns = set(silver_schema(self.topic).names)
        self._evolved = tuple(name for name in self.checkpoint_table.columns if name not in contract_columns)
        self._policies = PolicyHistory.of(self.checkpoint_table)
        floor = UNBOUNDED if self.contract.is_master else horizon(self.partitions, self._policies.newest)
        self._accepted_ids = AcceptedIdIndex(self._records.accepted_events, floor)
        self._records.forget()

    def reload(self) -> None:
        """Load the newest state of the tables, and discard what is held: after a commit that did not happen."""
        for table in (self.bronze, self.checkpoint_table, self.lines_table):
            if table is not None:
                table.reload()
        self._load_state()

    def _change_policy(self, policy: Policy) -> None:
        """Record the policy of the settings, if it is new, with the bronze batch from which it applies (R18)."""
        changed = self._policies.changed_to(policy, consumed=self.consumed, last_batch=last_batch(self.bronze))
        if changed != self._policies:
            self._policies = changed
            self.checkpoint_table.set_properties({PROPERTY: changed.to_json()})

    @property
    def consumed(self) -> int:
        """The last bronze batch in silver; 0: none."""
        return self._state.consumed

    @property
    def partitions(self) -> Mapping[int, PartitionState]:
        """Event time per topic partition after the batches consumed."""
        return self._state.partitions

    def policy_of(self, batch_id: int) -> Policy:
        """The policy that applies to a bronze batch."""
        return self._policies.policy_of(batch_id)

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """The topic's silver tables, the checkpoint table last."""
        return (self.checkpoint_table,) if self.lines_table is None else (self.lines_table, self.checkpoint_table)

    def appended(self, outcome: Outcome) -> dict[LakeTable, pa.Table]:
        """The rows of an outcome by table, as the tables hold them."""
        rows = {self.checkpoint_table: rows_after_batch(outcome.accepted, 0)}
        if self.lines_table is not None and outcome.lines is not None:
            rows = {self.lines_table: rows_after_batch(outcome.lines, 0), **rows}
        return rows

    def pending(self, max_records: int) -> Iterator[BronzeBatch]:
        """The bronze rows after `consumed`, in groups of whole batches with about `max_records` records."""
        return pending_batches(self.bronze, self.topic, self.consumed, max_records)

    def transform(self, batch: BronzeBatch, quarantine: Quarantine, clock: Clock) -> Outcome | None:
        """The outcome of the batches up to `batch.batch_id`; None where silver has consumed them.

        Changes what is held: call `commit` next, or `reload` after any error. Raises DriftFrozenError under drift
        policy `freeze`.
        """
        if batch.batch_id <= self.consumed:
            return None
        batch = after_batch(batch, self.consumed)
        self._records.remember(batch.rows)
        releases = ReleaseLookups(
            before=self._records.before,
            quarantined=partial(quarantine.quarantined, self.topic),
            accepted=partial(quarantine.accepted_releases, self.topic),
        )
        return transform(
            self.contract,
            batch,
            self._state,
            self._evolved,
            self._policies,
            Lookups(self._accepted_ids, self._records.values, releases),
            self._commits(batch),
            clock,
            layouts=self._layouts,
            piece_rows=self._piece_rows,
        )

    def _commits(self, batch: BronzeBatch) -> Mapping[int, BatchCommit]:
        own = {batch.batch_id: BatchCommit(batch.snapshot_id, batch.started_at, batch.committed_at)}
        return own if batch.batch_id == self.consumed + 1 else batch_commits(self.bronze) | own

    def commit(self, outcome: Outcome) -> int:
        """Commit the topic's own tables, the checkpoint table last; returns its new snapshot id.

        Commit the outcome's quarantine rows first. After CommitConflictError or StoreUnavailableError call `reload`.
        """
        if self.lines_table is not None and outcome.lines is not None:
            new_lines = rows_after_batch(outcome.lines, int(self.lines_table.checkpoint().get("consumed", 0)))
            if new_lines.num_rows:
                self.lines_table.append(new_lines, {"consumed": str(outcome.through)})
        state = TopicState(outcome.through, outcome.partitions)
        ledger = [*self.ledger, *outcome.ledger]
        checkpoint = {
            **state.to_checkpoint(),
            "bronze-snapshot-id": str(outcome.bronze_snapshot_id),
            "ledger": encode_entries(ledger),
        }
        snapshot_id = self.checkpoint_table.append(
            rows_after_batch(outcome.accepted, self.consumed), checkpoint, new_text_columns=outcome.new_columns
        )
        self._state, self.ledger = state, ledger
        self._evolved = (*self._evolved, *outcome.new_columns)
        fill_in_commit(ledger, snapshot_id, self.checkpoint_table.committed_at())
        return snapshot_id
