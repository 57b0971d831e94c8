"""What a release would come to, without sending anything: the records through the contract as silver would judge them.

The judge itself is asked, with the topic's state and the accepted ids of now, all records taken as honest releases that
arrive now. What arrives in between may change a verdict, so this is a forecast; the release itself is not bound by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef, ref_text
from pipelines.bronze.table import ensure_bronze
from pipelines.clock import from_micros
from pipelines.config.policies import Policy
from pipelines.config.settings import Settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import RELEASES, RELEASES_NAME, TIMESTAMP, checkpoint_table
from pipelines.lake.catalog import Lake
from pipelines.lake.open_lake import open_lakehouse
from pipelines.parsing.parse import Layouts, Parsed, ParseRules, parse
from pipelines.quarantine.fixes import Fix
from pipelines.quarantine.records import QuarantineFilter, shown
from pipelines.quarantine.release import in_bronze_numbers, opened_log, outgoing, unnoted
from pipelines.quarantine.release_log import ReleaseHistory, ReleaseTable
from pipelines.quarantine.selection import choose, one_topic
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.state import read_state
from pipelines.silver.verdicts import BatchVerdicts, assign_verdicts
from pipelines.silver.watermark import UNBOUNDED

_PASSING, _FAILING = 3, 3  # examples shown of each
_FAR = 2**62  # a floor above all times: every id is looked up in silver
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
    """One record before and after the fix, and what would become of it."""

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
    """How many of the wanted records would pass."""

    topic: str
    would_pass: int
    duplicates: int
    again: int  # quarantined again
    reasons: Mapping[str, int]  # of those
    already: int
    left: int
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
    """What `release` of the same would come to under the policy of the settings. Writes nothing."""
    lake = open_lakehouse(settings)
    try:
        with opened_log(settings) as opened:
            book = ReleaseHistory.read(lake)
            topic = one_topic(wanted)
            log = in_bronze_numbers(lake, opened, topic)
            if lake.find(RELEASES_NAME) is not None and (intent := ReleaseTable(lake).intent(topic)):
                cut_short = unnoted(lake, log, topic, intent, book)
                more = pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(cut_short, schema=RELEASES)))
                book = ReleaseHistory(pl.concat([book.rows, more]))
            chosen = choose(lake, wanted, book, fix)
            partitions = len(log.topic_state(topic).end_offsets)
        if not len(chosen.rows):
            return DryRun(topic, 0, 0, 0, {}, chosen.already, chosen.left, [])
        records = outgoing(topic, chosen.rows, partitions)
        judged = _judged(lake, topic, records, settings.policy(topic), now)
        reasons = (
            judged.quarantined.explode("reasons").group_by("reasons").len().sort("len", "reasons", descending=True)
        )
        return DryRun(
            topic,
            len(judged.accepted),
            len(judged.duplicates),
            len(judged.quarantined),
            dict(reasons.iter_rows()),
            chosen.already,
            chosen.left,
            _examples(chosen.rows, judged),
        )
    finally:
        lake.close()


def _judged(lake: Lake, topic: str, records: pa.Table, policy: Policy, now: datetime) -> BatchVerdicts:
    contract, count = CONTRACTS[topic], records.num_rows
    values = records.column("value").combine_chunks()
    parsed = parse(contract, values, ParseRules(policy.currency, policy.min_event_time), Layouts())
    if policy.drift != "evolve":
        parsed = _known_fields_only(parsed, policy.drift)
    bronze = ensure_bronze(lake, topic)

    def ids(event_ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        anchor = lake.find(checkpoint_table(topic))
        if event_ids is None or anchor is None:
            return _NO_IDS
        low = None if since == UNBOUNDED else from_micros(since)
        found = pl.DataFrame(pl.from_arrow(anchor.read_between("event_time", low, None, _NO_IDS.columns)))
        return found.cast(_NO_IDS.schema).filter(pl.col("event_id").is_in(list(event_ids)))

    def fetch(places: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        columns, found = ["partition", "offset", "value"], {}
        for partition in sorted({partition for partition, _ in places}):
            offsets = [offset for at, offset in places if at == partition]
            for row in bronze.read_in("offset", offsets, columns, {"partition": partition}):
                found[row["partition"], row["offset"]] = row["value"]
        return found

    rows = pa.table(
        {
            "partition": records.column("partition"),
            "offset": pa.array(range(count), pa.int64()),
            "timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), count),
            "value": records.column("value"),
        }
    )
    stored = read_state(lake, topic)
    state = stored[0] if stored is not None else {}
    return assign_verdicts(
        contract, rows, parsed, state, policy, AcceptedIdIndex(ids, _FAR), fetch, np.ones(count, bool)
    )


def _known_fields_only(parsed: Parsed, drift: str) -> Parsed:
    drifted = parsed.events.filter(pl.col("_extra").is_not_null())
    told = "unknown fields: {}" + ("; the drift policy is freeze: silver would stop here" if drift == "freeze" else "")
    rejects = drifted.select(
        "row",
        "event_id",
        reasons=pl.lit(["schema_drift"], dtype=pl.List(pl.String)),
        detail=pl.format(told, "_extra"),
    )
    return Parsed(parsed.events.filter(pl.col("_extra").is_null()), pl.concat([parsed.rejects, rejects]).sort("row"))


def _examples(rows: pl.DataFrame, judged: BatchVerdicts) -> list[Example]:
    passing = [(row, "accepted", None) for row in judged.accepted["row"].head(_PASSING)]
    same = [(row, "duplicate", None) for row in judged.duplicates["row"].head(1)]
    failing = [
        (row, ", ".join(reasons), detail)
        for row, reasons, detail in judged.quarantined.select("row", "reasons", "detail").head(_FAILING).iter_rows()
    ]
    found = []
    for row, verdict, detail in [*passing, *same, *failing]:
        partition, offset, before, after = rows.select("partition", "offset", "value", "new").row(row)
        found.append(Example((partition, offset), before, after, verdict, detail))
    return found
