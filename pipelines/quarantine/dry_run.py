"""Predicts what a release would do, without sending anything.

The records are parsed and get verdicts as in silver, with the topic's current state and accepted ids, as releases that
arrive now. Records that arrive before the real release may change a verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef, read_records, ref_text
from pipelines.bronze.table import ensure_bronze
from pipelines.clock import from_micros
from pipelines.config.policies import Policy
from pipelines.config.settings import Settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import RELEASES_NAME, TIMESTAMP, checkpoint_table
from pipelines.lake.catalog import Lake, open_lakehouse
from pipelines.log.interface import Log
from pipelines.parsing.parse import Layouts, ParseRules, parse
from pipelines.quarantine.copies import find_copies
from pipelines.quarantine.fixes import Fix
from pipelines.quarantine.records import QuarantineFilter, shown
from pipelines.quarantine.release import opened_log, outgoing, with_bronze_numbers
from pipelines.quarantine.release_log import ReleaseHistory, ReleaseTable
from pipelines.quarantine.selection import choose, one_topic
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.deduplicate import Fetch
from pipelines.silver.release_header import ReleaseFlags
from pipelines.silver.schema_evolution import reject_unknown_fields
from pipelines.silver.state import read_state
from pipelines.silver.verdicts import BatchVerdicts, assign_verdicts
from pipelines.silver.watermark import UNBOUNDED

_PASSING, _FAILING = 3, 3  # examples of each
_ABOVE_ALL = 2**62  # a floor above all event times, so that every id is looked up in silver
_NO_IDS = pl.DataFrame(
    schema={
        "event_id": pl.String(),
        "event_time": pl.Datetime("us", "UTC"),
        "_partition": pl.Int32(),
        "_offset": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True)
class Example:
    """One record before and after the fix, and its verdict."""

    place: RecordRef
    before: bytes | None
    after: bytes | None
    verdict: str  # accepted, duplicate or the reasons
    detail: str | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "record": ref_text(self.place),
            "before": shown(self.before),
            "after": shown(self.after),
            "verdict": self.verdict,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class DryRun:
    """How many of the selected records would be accepted."""

    topic: str
    would_pass: int
    duplicates: int
    again: int  # would be quarantined again
    reasons: Mapping[str, int]  # of those
    already: int  # released before
    left: int  # the fix returned null
    examples: Sequence[Example]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "topic": self.topic,
            "would_pass": self.would_pass,
            "would_be_duplicates": self.duplicates,
            "would_be_quarantined_again": self.again,
            "reasons": dict(self.reasons),
            "already_released": self.already,
            "left_by_fix": self.left,
            "examples": [example.to_dict() for example in self.examples],
        }


def dry_run_release(settings: Settings, wanted: QuarantineFilter, fix: Fix | None, now: datetime) -> DryRun:
    """The result of `release` with the same arguments, under the policy of the settings. Writes nothing."""
    topic = one_topic(wanted)
    lake = open_lakehouse(settings)
    try:
        with opened_log(settings) as opened:
            log = with_bronze_numbers(lake, opened, topic)
            chosen = choose(lake, wanted, _history(lake, log, topic), fix)
            partitions = len(log.topic_state(topic).end_offsets)
        if not len(chosen.rows):
            return DryRun(topic, 0, 0, 0, {}, chosen.already, chosen.left, [])
        records = outgoing(topic, chosen.rows, partitions)
        verdicts = _verdicts(lake, topic, records, settings.policy(topic), now)
        reasons = (
            verdicts.quarantined.explode("reasons").group_by("reasons").len().sort("len", "reasons", descending=True)
        )
        return DryRun(
            topic,
            len(verdicts.accepted),
            len(verdicts.duplicates),
            len(verdicts.quarantined),
            dict(reasons.iter_rows()),
            chosen.already,
            chosen.left,
            _examples(chosen.rows, verdicts),
        )
    finally:
        lake.close()


def _history(lake: Lake, log: Log, topic: str) -> ReleaseHistory:
    """The recorded releases, and the copies of a release that did not finish."""
    history = ReleaseHistory.read(lake)
    pending = ReleaseTable(lake).pending(topic) if lake.find(RELEASES_NAME) is not None else None
    if pending is None:
        return history
    return history.with_entries(find_copies(lake, log, topic, pending, history))


def _verdicts(lake: Lake, topic: str, records: pa.Table, policy: Policy, now: datetime) -> BatchVerdicts:
    contract, count = CONTRACTS[topic], records.num_rows
    values = records.column("value").combine_chunks()
    parsed = parse(contract, values, ParseRules(policy.currency, policy.min_event_time), Layouts())
    if policy.drift != "evolve":
        note = "; the drift policy is freeze: silver would stop here" if policy.drift == "freeze" else ""
        parsed = reject_unknown_fields(parsed, note)
    rows = pa.table(
        {
            "partition": records.column("partition"),
            "offset": pa.array(range(count), pa.int64()),
            "timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), count),
            "value": records.column("value"),
        }
    )
    stored = read_state(lake, topic)
    partitions = stored[0] if stored is not None else {}
    flags = ReleaseFlags(is_release=np.ones(count, bool), is_repeated=np.zeros(count, bool))
    index, fetch = _accepted_ids(lake, topic), _bronze_values(lake, topic)
    return assign_verdicts(contract, rows, parsed, partitions, policy, index, fetch, flags)


def _accepted_ids(lake: Lake, topic: str) -> AcceptedIdIndex:
    """An index that holds no ids and looks up each one in silver."""

    def load(event_ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        checkpoint = lake.find(checkpoint_table(topic))
        if event_ids is None or checkpoint is None:
            return _NO_IDS
        low = None if since == UNBOUNDED else from_micros(since)
        found = pl.DataFrame(pl.from_arrow(checkpoint.read_between("event_time", low, None, _NO_IDS.columns)))
        return found.cast(_NO_IDS.schema).filter(pl.col("event_id").is_in(list(event_ids)))

    return AcceptedIdIndex(load, _ABOVE_ALL)


def _bronze_values(lake: Lake, topic: str) -> Fetch:
    bronze = ensure_bronze(lake, topic)

    def fetch(refs: Sequence[RecordRef]) -> Mapping[RecordRef, bytes]:
        rows = read_records(bronze, refs, ["partition", "offset", "value"])
        return {(row["partition"], row["offset"]): row["value"] for row in rows}

    return fetch


def _examples(rows: pl.DataFrame, verdicts: BatchVerdicts) -> list[Example]:
    passing = [(row, "accepted", None) for row in verdicts.accepted["row"].head(_PASSING)]
    duplicates = [(row, "duplicate", None) for row in verdicts.duplicates["row"].head(1)]
    failing = [
        (row, ", ".join(reasons), detail)
        for row, reasons, detail in verdicts.quarantined.select("row", "reasons", "detail").head(_FAILING).iter_rows()
    ]
    found = []
    for row, verdict, detail in [*passing, *duplicates, *failing]:
        partition, offset, before, after = rows.select("partition", "offset", "value", "new").row(row)
        found.append(Example((partition, offset), before, after, verdict, detail))
    return found
