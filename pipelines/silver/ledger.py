"""The ledger: what became of every record, by batch and partition. Source: R26 and the conservation law.

Its entries ride in the anchor's snapshot summary, in the same commit as the rows they count, and are written to `ops`
from there: at the end of a run, when gold has them, or when they grow many. A death before that loses nothing.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import BATCHES, RULE_COUNTS, SCHEMA_DRIFT, silver_tables
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.silver.schema_evolution import drifts

if TYPE_CHECKING:
    from pipelines.bronze.table import BatchCommit
    from pipelines.silver.verdicts import BatchVerdicts

ON_TIME, LATE, DUPLICATE, QUARANTINED, NONE = range(5)
_COUNTS = ("accepted_on_time", "accepted_late", "duplicates", "quarantined")


def entries(
    piece: pa.Table, judged: "BatchVerdicts", warned: pl.DataFrame, commits: Mapping[int, "BatchCommit"]
) -> list[dict[str, Any]]:
    """One entry a batch of these bronze rows. Fails if a record has no verdict: nothing may fall through."""
    verdicts = np.full(piece.num_rows, NONE, np.uint8)
    verdicts[judged.accepted["row"].to_numpy()] = np.where(judged.accepted["_arrival"] == "late", LATE, ON_TIME)
    verdicts[judged.duplicates["row"].to_numpy()] = DUPLICATE
    verdicts[judged.quarantined["row"].to_numpy()] = QUARANTINED
    if (verdicts == NONE).any() or len(judged.accepted) + len(judged.duplicates) + len(judged.quarantined) != len(
        verdicts
    ):
        raise AssertionError("a record has no verdict, or more than one: this is a defect of the judge")
    rows = pl.DataFrame(pl.from_arrow(piece.select(["batch_id", "partition", "offset"]))).with_columns(
        verdict=pl.Series(verdicts)
    )
    counted = (
        rows.group_by("batch_id", "partition")
        .agg(
            pl.col("offset").min().alias("offset_from"),
            pl.col("offset").max().alias("offset_to"),
            pl.len().cast(pl.Int64).alias("polled"),
            *((pl.col("verdict") == code).sum().cast(pl.Int64).alias(name) for code, name in enumerate(_COUNTS)),
        )
        .sort("batch_id", "partition")
    )
    reasons = rows[judged.quarantined["row"]].with_columns(reason=judged.quarantined["reasons"]).explode("reason")
    by_reason: dict[tuple[int, int], dict[str, int]] = {}
    for batch_id, partition, reason, count in (
        reasons.group_by("batch_id", "partition", "reason").len().sort("batch_id", "partition", "reason").iter_rows()
    ):
        by_reason.setdefault((batch_id, partition), {})[reason] = count
    found: dict[int, dict[str, Any]] = {}
    for line in counted.iter_rows(named=True):
        batch_id = line.pop("batch_id")
        entry = found.setdefault(batch_id, _entry(batch_id, commits.get(batch_id)))
        entry["partitions"].append(line | {"reasons": by_reason.get((batch_id, line["partition"]), {})})
    for batch_id, rule, count in warned.iter_rows():
        found[batch_id]["warned"][rule] = count
    _add_drift(found, judged, piece)
    return list(found.values())


def _entry(batch_id: int, commit: "BatchCommit | None") -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "started_at": commit.started_at.isoformat() if commit and commit.started_at else None,
        "bronze_at": commit.committed_at.isoformat() if commit else None,
        "bronze_snapshot_id": commit.snapshot_id if commit else None,
        "silver_at": None,  # known once the commit that carries this entry has happened
        "silver_snapshot_id": None,
        "partitions": [],
        "warned": {},
        "drift": [],
    }


def _add_drift(found: Mapping[int, dict[str, Any]], judged: "BatchVerdicts", piece: pa.Table) -> None:
    drifted = judged.accepted.filter(pl.col("_extra").is_not_null()).select("row", "_extra")
    if not len(drifted):
        return
    places = pl.DataFrame(pl.from_arrow(piece.select(["batch_id", "partition", "offset"])))[drifted["row"]]
    for (batch_id,), part in drifted.with_columns(places).group_by(["batch_id"], maintain_order=True):
        assert isinstance(batch_id, int)
        for name, (rows, first, sample) in drifts(part).items():
            place = [part["partition"][first], part["offset"][first]]
            found[batch_id]["drift"].append([name, rows, *place, sample])


def merged(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a batch, one line a partition in it, where a batch was judged in several pieces."""
    whole: dict[int, dict[str, Any]] = {}
    for entry in found:
        first = whole.setdefault(entry["batch_id"], entry)
        if first is entry:
            continue
        lines = {line["partition"]: line for line in first["partitions"]}
        for line in entry["partitions"]:
            known = lines.get(line["partition"])
            if known is None:
                lines[line["partition"]] = line
                continue
            known["offset_from"] = min(known["offset_from"], line["offset_from"])
            known["offset_to"] = max(known["offset_to"], line["offset_to"])
            for name in ("polled", *_COUNTS):
                known[name] += line[name]
            known["reasons"] = _sum(known["reasons"], line["reasons"])
        first["partitions"] = [lines[partition] for partition in sorted(lines)]
        first["warned"] = _sum(first["warned"], entry["warned"])
        drift = {name: [name, *rest] for name, *rest in first["drift"]}
        for name, rows, *place_and_sample in entry["drift"]:
            drift.setdefault(name, [name, 0, *place_and_sample])[1] += rows
        first["drift"] = list(drift.values())
    return list(whole.values())


def _sum(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + two.get(name, 0) for name in [*one, *(name for name in two if name not in one)]}


class Ledger:
    """The `ops` tables that the anchors' entries are written to. One holder."""

    def __init__(self, lake: Lake) -> None:
        self._batches = lake.ensure("ops.batches", BATCHES)
        self._rules = lake.ensure("ops.rule_counts", RULE_COUNTS)
        self._drift = lake.ensure("ops.schema_drift", SCHEMA_DRIFT)

    def reload(self) -> None:
        """Take the tables as they are now."""
        for table in (self._batches, self._rules, self._drift):
            table.reload()

    def flushed(self) -> dict[str, int]:
        """Topic -> last batch that `ops.batches` holds."""
        found: dict[str, int] = json.loads(self._batches.checkpoint().get("flushed", "{}"))
        return found

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """The tables written."""
        return (self._rules, self._drift, self._batches)

    def flush(self, pending: Mapping[str, Iterable[dict[str, Any]]]) -> None:
        """Write entries that are not there yet, by topic. `ops.batches` is written last and says how far all three are.

        Entries carry their silver snapshot where it is known; the caller fills it in from the anchor.
        """
        for table, build, schema in (
            (self._rules, _rule_rows, RULE_COUNTS),
            (self._drift, _drift_rows, SCHEMA_DRIFT),
            (self._batches, _batch_rows, BATCHES),
        ):
            flushed: dict[str, int] = json.loads(table.checkpoint().get("flushed", "{}"))
            before = dict(flushed)
            rows: list[dict[str, Any]] = []
            for topic, found in pending.items():
                for entry in found:
                    if entry["batch_id"] > before.get(topic, 0):
                        rows += build(topic, entry)
                        flushed[topic] = max(flushed.get(topic, 0), entry["batch_id"])
            if rows:
                table.append(pa.Table.from_pylist(rows, schema=schema), {"flushed": encode(flushed)})


def read_ledger(lake: Lake) -> pa.Table:
    """All entries (schema BATCHES): those of `ops.batches`, and those that only the anchors' snapshots hold so far."""
    anchors = {topic: lake.find(silver_tables(topic)[-1]) for topic in CONTRACTS}  # first: entries move on from there
    table = lake.find("ops.batches")
    found = [table.read().select(BATCHES.names).cast(BATCHES)] if table is not None else []
    flushed: dict[str, int] = json.loads(table.checkpoint().get("flushed", "{}")) if table is not None else {}
    for topic, anchor in anchors.items():
        if anchor is None:
            continue
        for entry in json.loads(anchor.checkpoint().get("ledger", "[]")):
            if entry["batch_id"] > flushed.get(topic, 0):
                committed = anchor.committed_at()
                known = {"silver_snapshot_id": anchor.snapshot_id, "silver_at": committed and committed.isoformat()}
                whole = {name: entry[name] if entry[name] is not None else known.get(name) for name in entry}
                found.append(pa.Table.from_pylist(_batch_rows(topic, whole), schema=BATCHES))
    return pa.concat_tables(found) if found else BATCHES.empty_table()


def entries_of(lake: Lake, topic: str) -> pl.DataFrame:
    """A topic's entries, without the reasons."""
    read = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
    return read.filter(pl.col("topic") == topic)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _batch_rows(topic: str, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "batch_id": entry["batch_id"],
            "topic": topic,
            "bronze": line["polled"],
            "quarantined_by_reason": list(line["reasons"].items()),
            "started_at": _time(entry["started_at"]),
            "bronze_at": _time(entry["bronze_at"]),
            "silver_at": _time(entry["silver_at"]),
            "gold_at": entry.get("gold_at"),
            "bronze_snapshot_id": entry["bronze_snapshot_id"],
            "silver_snapshot_id": entry["silver_snapshot_id"],
            **{name: line[name] for name in ("partition", "offset_from", "offset_to", "polled", *_COUNTS)},
        }
        for line in entry["partitions"]
    ]


def _rule_rows(topic: str, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    stopped: dict[str, int] = {}
    for line in entry["partitions"]:
        for reason, count in line["reasons"].items():
            stopped[reason] = stopped.get(reason, 0) + count
    actions = (("quarantine", stopped), ("warn", entry["warned"]))
    return [
        {"batch_id": entry["batch_id"], "topic": topic, "rule": rule, "action": action, "rows": count}
        for action, counts in actions
        for rule, count in sorted(counts.items())
    ]


def _drift_rows(topic: str, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "topic": topic,
            "batch_id": entry["batch_id"],
            "field": name,
            "change": "new_field",
            "rows": rows,
            "first_partition": partition,
            "first_offset": offset,
            "sample": sample,
        }
        for name, rows, partition, offset, sample in entry["drift"]
    ]
