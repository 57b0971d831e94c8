"""Selects quarantined records by topic, rule, time and ref, counts them by rule and returns them in full (R25).

Reads only. A released copy has the ref of the record it was released from, and a released record those of its copies.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipelines.bronze.record_ref import RecordRef, ref_text
from pipelines.contracts.tables import QUARANTINE, QUARANTINE_NAME
from pipelines.errors import UsageError
from pipelines.lake.catalog import Lake
from pipelines.quarantine.release_log import ReleaseHistory
from pipelines.silver.release_header import origins, release_mask

KEY_COLUMNS = ["topic", "partition", "offset", "timestamp", "event_id", "reasons", "detail", "quarantined_at"]
_REF = ["topic", "partition", "offset"]


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Selects quarantined records; all by default. With several reasons or refs, a record must match any of them."""

    topic: str | None = None
    reasons: Collection[str] = ()  # rule names; `missing` stands for every `missing:<path>`
    places: Collection[RecordRef] = ()
    since: datetime | None = None  # of the record's timestamp, or of `quarantined_at` where it has none
    until: datetime | None = None  # exclusive

    def filter(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that match."""
        at = pl.coalesce("timestamp", "quarantined_at")
        tests = [
            pl.col("topic") == self.topic if self.topic is not None else None,
            at >= self.since if self.since is not None else None,
            at < self.until if self.until is not None else None,
            pl.any_horizontal(*map(_is_for, sorted(self.reasons))) if self.reasons else None,
        ]
        found = rows.filter(*(test for test in tests if test is not None))
        if not self.places:
            return found
        places = pl.DataFrame(sorted(self.places), schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row")
        return found.join(places, on=["partition", "offset"], how="semi", maintain_order="left")


def _is_for(rule: str) -> pl.Expr:
    return pl.col("reasons").list.eval((pl.element() == rule) | pl.element().str.starts_with(f"{rule}:")).list.any()


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Records of one topic that one rule quarantined. A record that breaks several rules counts for each of them."""

    topic: str
    rule: str
    records: int
    released: int
    first_at: datetime | None
    last_at: datetime | None
    sample: Mapping[str, Any]  # partition, offset, event_id and detail of the first record

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A quarantined record in full, and its releases."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None
    event_id: str | None
    reasons: Sequence[str]
    detail: str | None
    quarantined_at: datetime
    origin: RecordRef | None = None  # of a copy: the record it was released from
    released_as: Sequence[RecordRef] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """For JSON: bytes as text, or as {"base64": …} where they are not UTF-8; refs as PARTITION/OFFSET."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {
            "key": shown(self.key),
            "value": shown(self.value),
            "headers": [{"key": name, "value": shown(value)} for name, value in self.headers],
            "origin": None if self.origin is None else ref_text(self.origin),
            "released_as": [ref_text(ref) for ref in self.released_as],
        }


def read_rows(lake: Lake, wanted: QuarantineFilter, columns: Sequence[str]) -> pl.DataFrame:
    """The wanted rows of `silver.quarantine` by topic, partition, offset. `columns` must contain KEY_COLUMNS."""
    table = lake.find(QUARANTINE_NAME)
    empty = pl.DataFrame(pl.from_arrow(QUARANTINE.empty_table())).select(columns)
    batches = table.read_streamed(columns) if table is not None else ()
    parts = (wanted.filter(pl.DataFrame(pl.from_arrow(batch))).cast(empty.schema) for batch in batches)
    return pl.concat([empty, *parts]).sort(_REF)


def count_by_rule(lake: Lake, wanted: QuarantineFilter) -> list[RuleCount]:
    """Quarantined records by topic and rule; in each topic the rule with the most records comes first."""
    rows = read_rows(lake, wanted, KEY_COLUMNS)
    released = ReleaseHistory.read(lake).rows.select(_REF).unique()
    rows = rows.join(released.with_columns(released=True), on=_REF, how="left", maintain_order="left")
    grouped = (
        rows.with_columns(at=pl.coalesce("timestamp", "quarantined_at"))
        .explode("reasons")
        .group_by("topic", "reasons", maintain_order=True)
        .agg(
            pl.len().alias("records"),
            pl.col("released").is_not_null().sum(),
            pl.col("at").min().alias("first_at"),
            pl.col("at").max().alias("last_at"),
            pl.struct("partition", "offset", "event_id", "detail").first().alias("sample"),
        )
        .sort(["topic", "records", "reasons"], descending=[False, True, False])
    )
    return [RuleCount(rule=row.pop("reasons"), **row) for row in grouped.iter_rows(named=True)]


def full_records(lake: Lake, wanted: QuarantineFilter, limit: int | None = None) -> tuple[list[QuarantinedRecord], int]:
    """The first `limit` selected records by topic, partition and offset, and the number of all selected ones."""
    keys = read_rows(lake, wanted, KEY_COLUMNS)
    found: list[QuarantinedRecord] = []
    history = ReleaseHistory.read(lake)
    for (topic,), part in keys.head(limit if limit is not None else len(keys)).group_by("topic", maintain_order=True):
        assert isinstance(topic, str)
        refs = frozenset(part.select("partition", "offset").iter_rows())
        rows = read_rows(lake, QuarantineFilter(topic, places=refs), QUARANTINE.names)
        named = named_origins(lake, topic, rows)
        for index, row in enumerate(rows.iter_rows(named=True)):
            headers = [(header["key"], header["value"]) for header in row.pop("headers") or ()]
            copies = history.copies(topic, (row["partition"], row["offset"]))
            record = QuarantinedRecord(**row, headers=headers, origin=named.get(index), released_as=copies)
            found.append(record)
    return found, len(keys)


def named_origins(lake: Lake, topic: str, rows: pl.DataFrame) -> dict[int, RecordRef]:
    """Row -> the quarantined record that its release headers name; rows without such a header are missing (R27)."""
    records = rows.select("headers").to_arrow()
    mask = release_mask(records)
    if not mask.any():
        return {}
    claimed = origins(topic, records, mask)
    wanted = QuarantineFilter(topic, places=frozenset(ref for refs in claimed.values() for ref in refs))
    quarantined = set(read_rows(lake, wanted, KEY_COLUMNS).select("partition", "offset").iter_rows())
    own = dict(enumerate(rows.select("partition", "offset").iter_rows()))
    found: dict[int, RecordRef] = {}
    for row, refs in claimed.items():
        partition, offset = own[row]
        # A later record of the same partition cannot be the origin.
        possible = [ref for ref in refs if ref in quarantined and (ref[0] != partition or ref[1] < offset)]
        if possible:
            found[row] = possible[0]
    return found


def shown(value: bytes | None) -> str | dict[str, str] | None:
    """Bytes for JSON: text, or {"base64": …} where they are not UTF-8."""
    import base64

    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def parse_moment(name: str, text: str | None) -> datetime | None:
    """The time that the value of an option is: a date means its midnight, a time without a zone is UTC.

    Raises UsageError with the option's `name`.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise UsageError(f"{name} {text}: expected a date or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z")
    return found
