"""Compare the pipeline's outcome, as plain data, with the reference. Each difference is one line of text.

`actual` maps names to lists of dicts. Each name is optional:
    verdicts            topic, partition, offset, outcome (accepted, duplicate, quarantined), reasons, arrival
    silver.<table>      rows of a silver table, including silver.pos_items
    silver.quarantine   rows
    ops.watermarks      topic, partition, high, last_record_at, is_idle, watermark
    ops.rule_counts     batch_id, topic, rule, action, rows
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .contract import Policy
from .contract_table import members
from .rfc8259 import Object, Value, canonical, parse
from .silver import Record, Silver, Verdict, idle_partitions, judge, watermark

Rows = Sequence[Mapping[str, Any]]
EVOLVED = 50


def compare_silver(
    records: Iterable[Record], policy: Policy | Callable[[Record], Policy] | None, actual: Mapping[str, Rows]
) -> list[str]:
    """Return the differences between the reference's outcome for `records` and `actual`."""
    silver = judge(records, policy)
    topics = sorted({one.record.topic for one in silver.verdicts})
    found = _verdict_differences(silver, actual["verdicts"]) if "verdicts" in actual else []
    if "silver.quarantine" in actual:
        found += _quarantine_differences(silver, actual["silver.quarantine"])
    for topic in topics:
        table = f"silver.{topic.replace('-', '_')}"
        if table in actual:
            found += _row_differences(table, [silver_row(one) for one in silver.accepted(topic)], actual[table])
            found += _evolved_differences(silver, topic, actual[table])
    if "silver.pos_items" in actual:
        lines = [line for one in silver.accepted("pos-transactions") for line in item_rows(one)]
        found += _row_differences("silver.pos_items", lines, actual["silver.pos_items"])
    if "ops.rule_counts" in actual:
        theirs = Counter[tuple[Any, ...]]()
        for row in actual["ops.rule_counts"]:
            theirs[row["batch_id"], row["topic"], row["rule"], row["action"]] += row["rows"]
        ours = silver.rule_counts()
        found += [
            f"rule_counts {key}: {ours[key]} expected, found {theirs[key]}"
            for key in ours | theirs
            if ours[key] != theirs[key]
        ]
    if "ops.watermarks" in actual:
        assert not callable(policy), "watermarks need one policy"
        for row in actual["ops.watermarks"]:
            found += _watermark_differences(silver, policy or Policy(), row)
    return found


def silver_row(verdict: Verdict) -> dict[str, Any]:
    """Return the row of `silver.<topic>`: contract members except `items`, lineage, `_extra` as parsed JSON."""
    names = [member.name for member in members(verdict.record.topic) if member.name != "items"]
    extra = Object(tuple(verdict.extras.items())) if verdict.extras else None
    return {**{name: verdict.row.get(name) for name in names}, **_lineage(verdict), "_extra": extra}


def item_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the rows of `silver.pos_items`."""
    head = {name: verdict.row[name] for name in ("event_id", "event_time")}
    return [{**head, **line, **_lineage(verdict)} for line in verdict.row["items"]]


def _lineage(verdict: Verdict) -> dict[str, Any]:
    record = verdict.record
    return {
        "_partition": record.partition,
        "_offset": record.offset,
        "_arrival": verdict.arrival,
        "_lateness_seconds": verdict.lateness_seconds,
        "_recorded_at": record.timestamp,
    }


def _verdict_differences(silver: Silver, actual: Rows) -> list[str]:
    theirs = {(row["topic"], row["partition"], row["offset"]): row for row in actual}
    found = [f"{len(actual) - len(theirs)} records have more than one verdict"] if len(theirs) != len(actual) else []
    for one in silver.verdicts:
        row = theirs.pop(one.record.place, {"outcome": "no verdict"})
        reasons = tuple(row.get("reasons") or ())
        if (row["outcome"], reasons) != (one.outcome, one.reasons) or row.get("arrival", one.arrival) != one.arrival:
            ours = f"{one.outcome} {one.arrival or ''} {list(one.reasons)}"
            made = f"{row['outcome']} {row.get('arrival') or ''} {list(reasons)}"
            found.append(f"{_name(one.record)}: {ours} expected, found {made}")
    return found + [f"{place}: a verdict for no record" for place in theirs]


def _quarantine_differences(silver: Silver, actual: Rows) -> list[str]:
    theirs = {(row["topic"], row["partition"], row["offset"]): row for row in actual}
    found = [f"{len(actual) - len(theirs)} records are quarantined twice"] if len(theirs) != len(actual) else []
    for one in silver.verdicts:
        row = theirs.pop(one.record.place, None)
        if (row is None) != (one.outcome != "quarantined"):
            found.append(f"{_name(one.record)}: {one.outcome} {list(one.reasons)} expected, quarantine holds {row}")
        elif row is not None:
            record = one.record
            kept = (row["value"], row["key"], row["timestamp"])
            if list(row["reasons"]) != list(one.reasons):
                found.append(f"{_name(record)}: {list(one.reasons)} expected, found {list(row['reasons'])}")
            if kept != (record.value, record.key, record.timestamp):
                found.append(f"{_name(record)}: quarantine altered the record: {kept}")
    return found + [f"{place}: quarantined, but no such record" for place in theirs]


def _row_differences(table: str, expected: Rows, actual: Rows) -> list[str]:
    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["_partition"], row["_offset"], row.get("line_number")

    theirs = {key(row): row for row in actual}
    found = [f"{table}: {len(actual) - len(theirs)} rows stand twice"] if len(theirs) != len(actual) else []
    for row in expected:
        other = theirs.pop(key(row), None)
        if other is None:
            found.append(f"{table} {key(row)}: row is missing")
            continue
        for name, value in row.items():
            same = _same_extra(value, other.get(name)) if name == "_extra" else _same(value, other.get(name))
            if not same:
                found.append(f"{table} {key(row)} {name}: {value!r} expected, found {other.get(name)!r}")
    return found + [f"{table} {place}: a row for no accepted event" for place in theirs]


def _same(ours: Any, theirs: Any) -> bool:
    """Return whether values and types are equal: 1 differs from True, and 1.0 from a Decimal."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    return bool(ours == theirs)


def _same_extra(ours: Object | None, theirs: str | None) -> bool:
    """Return whether they are equal by R22. Without extras, null and an empty object are equal."""
    return canonical(ours or Object(())) == canonical(parse((theirs or "{}").encode("utf-8", "surrogatepass")))


def evolved_names(silver: Silver, topic: str) -> list[str]:
    """Return the names of extras that may become columns, in bronze order, without those that are always null."""
    names: dict[str, None] = {}
    for one in silver.accepted(topic):
        for name, value in one.extras.items():
            if name != "items" and value is not None and re.fullmatch("[a-z][a-z0-9_]{0,62}", name):
                names[name] = None
    return list(names)


def _evolved_differences(silver: Silver, topic: str, actual: Rows) -> list[str]:
    """Compare the evolved columns (R29): at most 50, with JSON text, or the string itself for strings."""
    if not actual:
        return []
    names = evolved_names(silver, topic)
    known = {*silver_row(silver.accepted(topic)[0]), "_ingested_at"} if silver.accepted(topic) else set()
    columns = {name for row in actual for name in row} - known
    found = []
    if not columns <= {name for one in silver.accepted(topic) for name in one.extras}:
        found.append(f"{topic}: columns that no event brought: {sorted(columns - set(names))}")
    if len(columns & set(names)) != min(EVOLVED, len(names)):
        found.append(f"{topic}: columns for {names} expected, found {sorted(columns)}")
    extras = {(one.record.partition, one.record.offset): one.extras for one in silver.accepted(topic)}
    for row in actual:
        for name in columns & set(names):
            value = extras.get((row["_partition"], row["_offset"]), {}).get(name)
            if not _same_evolved(value, row.get(name)):
                found.append(
                    f"{topic} {row['_partition']}/{row['_offset']} {name}: {value!r} expected, found {row.get(name)!r}"
                )
    return found


def _same_evolved(ours: Value, theirs: str | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(ours, str):
        return ours == theirs
    return canonical(ours) == canonical(parse(theirs.encode()))


def _watermark_differences(silver: Silver, policy: Policy, row: Mapping[str, Any]) -> list[str]:
    topic, partition = row["topic"], row["partition"]
    state = silver.partitions.get((topic, partition))
    if state is None:
        return [f"watermark of {topic}/{partition}: no such partition"]
    expected: dict[str, Any] = {
        "high": state.high,
        "last_record_at": state.last_record_at,
        "watermark": watermark(silver, topic, policy),
    }
    if state.high is not None:  # is_idle is undefined for a partition that never counts
        expected["is_idle"] = partition in idle_partitions(silver, topic, policy)
    return [
        f"watermark of {topic}/{partition}, {name}: {value} expected, found {row[name]}"
        for name, value in expected.items()
        if name in row and row[name] != value
    ]


def _name(record: Record) -> str:
    value = record.value if record.value is None or len(record.value) < 300 else record.value[:300] + b"..."
    return f"{record.topic}/{record.partition}/{record.offset} {value!r}"
