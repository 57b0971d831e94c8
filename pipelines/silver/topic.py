"""Bronze to silver, one batch at a time. Source: design.md section 4, R14-R29.

Each silver table says in its snapshots up to which bronze batch it has consumed. Of a topic's tables the anchor
(`silver.<topic>`) is committed last and carries the state of the fold; a run starts there, and a table that is ahead,
because the last run died between two commits, skips what it has. So repeating a batch adds nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.landing_reasons import with_file_and_line
from pipelines.bronze.record_ref import read_records
from pipelines.bronze.removed_range import refuse_truncated
from pipelines.bronze.table import BatchCommit, BronzeBatch, batch_commits, ensure_bronze
from pipelines.clock import from_micros
from pipelines.config.policies import Policy
from pipelines.contracts.registry import CONTRACTS, VERSION, Contract
from pipelines.contracts.tables import POS_ITEMS, QUARANTINE, checkpoint_table, silver_schema
from pipelines.errors import DriftFrozenError
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.parsing.parse import Layouts, Parsed, ParseRules, parse
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.batch import _ROW, Outcome, _items
from pipelines.silver.ledger import entries, merged
from pipelines.silver.policy_history import PolicyEntry, recorded_policies
from pipelines.silver.quarantine_table import BATCH, NO_RELEASES, Quarantine, rows_after_batch
from pipelines.silver.release_header import origins, release_mask
from pipelines.silver.release_waivers import Waivers
from pipelines.silver.schema_evolution import drifts, evolve
from pipelines.silver.verdicts import BatchVerdicts, assign_verdicts
from pipelines.silver.warn_rules import warn_counts
from pipelines.silver.watermark import UNBOUNDED, PartitionState, horizon

_RECENT_BYTES = 64 << 20  # records kept at hand to compare copies with
_MANY = 1_000  # places above which one pass over the quarantine is cheaper than looking for each
_SORT = [("batch_id", "ascending"), ("partition", "ascending"), ("offset", "ascending")]


class SilverTopic:
    """One topic's silver tables, held between batches with the state of the fold. One thread, one holder.

    `source` is the lake whose bronze is read and whose policies are replayed, for a rebuild beside it; without it, both
    are the lake's own. `piece_rows` cuts the work into smaller pieces than batches, which changes nothing but speed.
    """

    def __init__(
        self, lake: Lake, topic: str, policy: Policy, *, source: Lake | None = None, piece_rows: int | None = None
    ) -> None:
        self.contract: Contract = CONTRACTS[topic]
        self.topic = topic
        self._lake = lake
        self._piece_rows = piece_rows
        self.bronze = ensure_bronze(source or lake, topic)
        recorded = [PolicyEntry(1, VERSION, policy)]
        if source is not None:
            recorded = recorded_policies(source, topic) or recorded
        self.checkpoint_table = lake.ensure(
            checkpoint_table(topic),
            silver_schema(topic),
            day_of="event_time",
            properties={"animeverse.policies": encode([entry.to_dict() for entry in recorded])},
        )
        self.items = (
            lake.ensure("silver.pos_items", POS_ITEMS, day_of="event_time") if topic == "pos-transactions" else None
        )
        self._layouts = Layouts()
        self._fixed = tuple(silver_schema(topic).names)
        self._load_state()
        if source is None:
            self._take_policy(policy)

    def _load_state(self) -> None:
        stamp = self.checkpoint_table.checkpoint()
        state = json.loads(stamp["state"]) if "state" in stamp else {}
        self.consumed = int(stamp.get("consumed", 0))
        refuse_truncated(self.bronze, self.consumed)
        self.partitions: Mapping[int, PartitionState] = {
            int(partition): PartitionState(*pair) for partition, pair in state.items()
        }
        self.ledger: list[dict[str, Any]] = json.loads(stamp.get("ledger", "[]"))
        self._name_snapshot(*(self.checkpoint_table.checkpoint_commit() or (None, None)))
        self.evolved = tuple(name for name in self.checkpoint_table.columns if name not in self._fixed)
        self.policies = [PolicyEntry.from_dict(e) for e in json.loads(self.checkpoint_table.properties()["policies"])]
        floor = UNBOUNDED if self.contract.is_master else horizon(self.partitions, self.policies[-1].policy)
        self._seen = AcceptedIdIndex(self._load_ids, floor)
        self._recent: list[pa.Table] = []

    def reload(self) -> None:
        """Forget what is held and take the tables as they are now: after a commit that did not happen."""
        for table in (self.bronze, self.checkpoint_table, self.items):
            if table is not None:
                table.reload()
        self._load_state()

    def _take_policy(self, policy: Policy) -> None:
        """R18: a change holds from the next bronze batch on, and the table remembers since when."""
        entries = self._thawed(policy.drift)
        if entries[-1].policy != policy or entries[-1].contract_version != VERSION:
            next_batch = max(int(self.bronze.checkpoint().get("batch-id", 0)), self.consumed) + 1
            kept = [entry for entry in entries if entry.from_batch < next_batch]
            entries = [*kept, PolicyEntry(next_batch, VERSION, policy)]
        if entries != self.policies:
            self.policies = entries
            self.checkpoint_table.set_properties({"policies": encode([entry.to_dict() for entry in entries])})

    def _thawed(self, drift: str) -> list[PolicyEntry]:
        """The policies, where batches not consumed yet are not frozen any more once drift is no longer to be.

        What froze silver is in bronze already: from the next batch on would be too late for it (R29). A batch that
        `freeze` lets through comes out the same under the others.
        """
        first = self.consumed + 1
        ahead = [entry for entry in self.policies if entry.from_batch > first]
        held = replace(self._entry_of(first), from_batch=first)
        if drift == "freeze" or all(entry.policy.drift != "freeze" for entry in (held, *ahead)):
            return self.policies
        thawed = [
            replace(entry, policy=replace(entry.policy, drift=drift)) if entry.policy.drift == "freeze" else entry
            for entry in (held, *ahead)
        ]
        return [*(entry for entry in self.policies if entry.from_batch < first), *thawed]

    def policy_of(self, batch_id: int) -> Policy:
        """The policy that holds for a bronze batch."""
        return self._entry_of(batch_id).policy

    def _entry_of(self, batch_id: int) -> PolicyEntry:
        held = (entry for entry in reversed(self.policies) if entry.from_batch <= batch_id)
        return next(held, self.policies[0])

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """The topic's silver tables, the anchor last."""
        return (self.checkpoint_table,) if self.items is None else (self.items, self.checkpoint_table)

    def appended(self, outcome: Outcome) -> dict[LakeTable, pa.Table]:
        """The rows of an outcome by table, without `BATCH`."""
        found = {} if self.items is None or outcome.items is None else {self.items: rows_after_batch(outcome.items, 0)}
        return found | {self.checkpoint_table: rows_after_batch(outcome.accepted, 0)}

    @property
    def is_behind(self) -> bool:
        """Whether bronze holds batches that silver has not consumed."""
        return int(self.bronze.checkpoint().get("batch-id", 0)) > self.consumed

    def pending(self, max_records: int) -> Iterator[BronzeBatch]:
        """Bronze rows not consumed yet, some whole batches at a time, about `max_records` records each."""
        self.bronze.reload()
        last = int(self.bronze.checkpoint().get("batch-id", 0))
        # Compacted files span many batches, and neighbours share one: a cut lies where a range begins, since all
        # batches before that one are in the ranges before it.
        ranges = sorted(
            (found.lower or 0, found.rows)
            for found in self.bronze.file_ranges("batch_id", max_records)
            if found.upper is None or found.upper > self.consumed
        )
        low, rows = self.consumed + 1, 0
        for first, count in ranges:
            if rows and first > low and rows + count > max_records:
                yield self._read_batches(low, first - 1)
                low, rows = first, 0
            rows += count
        if low <= last:
            yield self._read_batches(low, last)

    def _read_batches(self, low: int, high: int) -> BronzeBatch:
        rows = self.bronze.read_between("batch_id", low, high).sort_by(_SORT)
        commits = batch_commits(self.bronze)
        snapshot_id = self.bronze.snapshot_id
        assert snapshot_id is not None
        newest = commits.get(high)
        moment = newest.committed_at if newest else self.bronze.committed_at()
        assert moment is not None
        started = newest.started_at if newest and newest.started_at else moment
        return BronzeBatch(self.topic, high, rows, snapshot_id, started, moment)

    def work_out(self, batch: BronzeBatch, quarantine: Quarantine, clock: Callable[[], datetime]) -> Outcome | None:
        """The outcome of the batches up to `batch.batch_id`; None where they are consumed already.

        Raises DriftFrozenError under policy `freeze`. Changes what is held: call `commit`, or `reload` on any error.
        """
        if batch.batch_id <= self.consumed:
            return None
        rows = batch.rows.filter(pc.greater(batch.rows.column("batch_id"), self.consumed))
        self._remember(rows)
        state = dict(self.partitions)
        parts = []
        waivers = Waivers(self.topic, self.bronze, quarantine) if release_mask(rows).any() else None
        for piece in self._pieces(rows):
            judged = self._judge(piece, state, waivers)
            state = dict(judged.partitions)
            parts.append((piece, judged))
            if waivers is not None:
                waivers.note(piece, judged)
        evolved, new_columns, accepted_parts, quarantined_parts, ledger = list(self.evolved), [], [], [], []
        line_parts = []
        commits = self._commits(batch)
        for piece, judged in parts:
            accepted = judged.accepted.drop("money_rounded").rename({"row": _ROW})
            accepted, new = evolve(accepted, evolved, reserved=self._reserved)
            evolved += new
            new_columns += new
            accepted = self._with_lineage(accepted, piece)
            if judged.lines is not None:
                line_parts.append(_items(judged.lines, accepted))
            accepted_parts.append(accepted.drop(_ROW))
            quarantined_parts.append(self._quarantine_rows(judged.quarantined, piece, clock()))
            ledger += self._ledger(piece, judged, commits)
        ledger = merged(ledger)
        accepted = pl.concat(accepted_parts, how="diagonal") if len(accepted_parts) > 1 else accepted_parts[0]
        quarantined = pl.concat(quarantined_parts)
        return Outcome(
            topic=self.topic,
            through=batch.batch_id,
            bronze_snapshot_id=batch.snapshot_id,
            partitions=state,
            accepted=accepted.to_arrow(),
            items=pl.concat(line_parts).to_arrow() if line_parts else None,
            quarantined=quarantined.to_arrow(),
            releases=waivers.accepted() if waivers is not None else NO_RELEASES,
            new_columns=new_columns,
            ledger=ledger,
        )

    @property
    def _reserved(self) -> tuple[str, ...]:
        """Names that no evolved column may have: Iceberg knows the table's partition by one of them, too."""
        return (*self._fixed, *(known.name for known in self.contract.fields), "event_time_day")

    def _remember(self, rows: pa.Table) -> None:
        self._recent.append(rows.select(["partition", "offset", "value"]))
        while len(self._recent) > 1 and sum(table.nbytes for table in self._recent) > _RECENT_BYTES:
            self._recent.pop(0)

    def _pieces(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Runs of rows under one policy; a release that may depend on one of these very rows begins a run of its own,
        so that all that was quarantined or released before it is known (R27)."""
        batch_ids = rows.column("batch_id").to_numpy()
        starts = {0}
        starts.update(int(np.searchsorted(batch_ids, entry.from_batch)) for entry in self.policies)
        if self._piece_rows:
            starts.update(range(0, len(batch_ids), self._piece_rows))
        starts.update(self._released_from(rows))
        cuts = [*sorted(start for start in starts if start < len(batch_ids)), len(batch_ids)]
        for first, end in pairwise(cuts):
            if end > first:
                yield rows.slice(first, end - first)

    def _released_from(self, rows: pa.Table) -> Iterator[int]:
        """Rows whose release header names another of these rows, or what an earlier one of them names."""
        mask = release_mask(rows)
        if mask.any():
            near = set(zip(rows.column("partition").to_pylist(), rows.column("offset").to_pylist(), strict=True))
            for row, places in origins(self.topic, rows, mask).items():
                if not near.isdisjoint(places):
                    yield row
                near.update(places)

    def _judge(self, piece: pa.Table, state: Mapping[int, PartitionState], waivers: Waivers | None) -> BatchVerdicts:
        policy = self.policy_of(piece.column("batch_id")[0].as_py())
        values = piece.column("value").combine_chunks()
        parsed = parse(self.contract, values, ParseRules(policy.currency, policy.min_event_time), self._layouts)
        if policy.drift != "evolve":
            parsed = self._held_to_known_fields(parsed, piece, policy)
        released, repeated = waivers.of(piece) if waivers is not None else (None, None)
        return assign_verdicts(self.contract, piece, parsed, state, policy, self._seen, self._fetch, released, repeated)

    def _held_to_known_fields(self, parsed: Parsed, piece: pa.Table, policy: Policy) -> Parsed:
        drifted = parsed.events.filter(pl.col("_extra").is_not_null())
        if not len(drifted):
            return parsed
        if policy.drift == "freeze":
            row = drifted["row"][0]
            fields = ", ".join(drifts(drifted.head(1)))
            partition, offset = piece.column("partition")[row].as_py(), piece.column("offset")[row].as_py()
            raise DriftFrozenError(
                f"{self.topic}: unknown field {fields} at partition {partition}, offset {offset}, and the drift policy "
                f"is freeze. silver.{self.contract.table} stopped before this batch; bronze goes on. Go on with "
                f"ANIMEVERSE_DRIFT__{self.contract.table.upper()}=evolve (new columns) or =quarantine, or teach the "
                "contract the field."
            )
        rejects = drifted.select(
            "row",
            "event_id",
            reasons=pl.lit(["schema_drift"], dtype=pl.List(pl.String)),
            detail=pl.format("unknown fields: {}", "_extra"),
        )
        return Parsed(
            parsed.events.filter(pl.col("_extra").is_null()), pl.concat([parsed.rejects, rejects]).sort("row")
        )

    def _with_lineage(self, accepted: pl.DataFrame, piece: pa.Table) -> pl.DataFrame:
        row = accepted[_ROW]

        def column(name: str) -> pl.Series:
            return pl.Series(pl.from_arrow(piece.column(name)))[row]

        return accepted.with_columns(
            _partition=column("partition"),
            _offset=column("offset"),
            _recorded_at=column("timestamp"),
            _ingested_at=column("ingested_at"),
            **{BATCH: column("batch_id")},
        )

    def _quarantine_rows(self, quarantined: pl.DataFrame, piece: pa.Table, now: datetime) -> pl.DataFrame:
        names = ["partition", "offset", "timestamp", "key", "headers", "value", "batch_id"]
        rows = pl.DataFrame(pl.from_arrow(piece.select(names).take(pa.array(quarantined["row"].to_arrow()))))
        return (
            rows.rename({"batch_id": BATCH})
            .with_columns(
                quarantined.select("event_id", "reasons", "detail"),
                topic=pl.lit(self.topic),
                quarantined_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
            )
            .select(*QUARANTINE.names, BATCH)
            .pipe(with_file_and_line)
        )

    def _commits(self, batch: BronzeBatch) -> Mapping[int, BatchCommit]:
        own = {batch.batch_id: BatchCommit(batch.snapshot_id, batch.started_at, batch.committed_at)}
        return own if batch.batch_id == self.consumed + 1 else batch_commits(self.bronze) | own

    def _ledger(
        self, piece: pa.Table, judged: BatchVerdicts, commits: Mapping[int, BatchCommit]
    ) -> list[dict[str, Any]]:
        warned = warn_counts(self.contract, judged.accepted, judged.lines, piece)
        return entries(piece, judged, warned, commits)

    def commit(self, outcome: Outcome) -> int:
        """Commit the topic's own tables, the anchor last; the anchor's new snapshot id.

        The quarantine's rows must be committed before. On CommitConflictError or StoreUnavailableError: `reload`.
        """
        if self.items is not None and outcome.items is not None:
            ahead = int(self.items.checkpoint().get("consumed", 0))
            fresh = rows_after_batch(outcome.items, ahead)
            if fresh.num_rows:
                self.items.append(fresh, {"consumed": str(outcome.through)})
        carried = [{key: value for key, value in entry.items() if key != "gold_at"} for entry in self.ledger]
        stamp = {
            "consumed": str(outcome.through),
            "bronze-snapshot-id": str(outcome.bronze_snapshot_id),
            "state": encode({str(p): [s.high, s.last_record_at] for p, s in sorted(outcome.partitions.items())}),
            "ledger": json.dumps([*carried, *outcome.ledger], separators=(",", ":")),
        }
        snapshot_id = self.checkpoint_table.append(
            rows_after_batch(outcome.accepted, self.consumed), stamp, new_text_columns=outcome.new_columns
        )
        self.consumed = outcome.through
        self.partitions = outcome.partitions
        self.evolved = (*self.evolved, *outcome.new_columns)
        self.ledger = [*self.ledger, *outcome.ledger]
        self._name_snapshot(snapshot_id, self.checkpoint_table.committed_at())
        return snapshot_id

    def _name_snapshot(self, snapshot_id: int | None, committed_at: datetime | None) -> None:
        """Ledger entries could not name the commit that carried them: that is the one that wrote the stamp."""
        for entry in self.ledger:
            if entry["silver_snapshot_id"] is None:
                entry["silver_snapshot_id"] = snapshot_id
                entry["silver_at"] = committed_at.isoformat() if committed_at else None

    def _load_ids(self, event_ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        columns = ["event_id", "event_time", "_partition", "_offset"]
        low = None if since == UNBOUNDED else from_micros(since)
        high = None if before is None else from_micros(before - 1)
        found = pl.DataFrame(pl.from_arrow(self.checkpoint_table.read_between("event_time", low, high, columns)))
        found = found.with_columns(pl.col("event_id").cast(pl.String))
        return found if event_ids is None else found.filter(pl.col("event_id").is_in(list(event_ids)))

    def _fetch(self, places: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Records' bytes by (partition, offset): from what is at hand, else from bronze."""
        wanted = pl.DataFrame(
            places, schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row"
        )  # each place once
        found: dict[tuple[int, int], bytes] = {}
        for table in reversed(self._recent):
            if not len(wanted):
                return found
            at_hand = pl.DataFrame(pl.from_arrow(table))
            hits = wanted.join(at_hand, on=["partition", "offset"], how="inner", maintain_order="left")
            found.update({(partition, offset): value for partition, offset, value in hits.iter_rows()})
            wanted = wanted.join(hits, on=["partition", "offset"], how="anti", maintain_order="left")
        for row in read_records(self.bronze, list(wanted.iter_rows()), ["partition", "offset", "value"]):
            found[row["partition"], row["offset"]] = row["value"]
        return found
