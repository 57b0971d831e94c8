"""`ops.releases`: which quarantined record was sent to the log again, and where its copy lies (R27).

Before anything is sent, the intent is written: to which topic, and where its log ended. What was sent is then looked
for from there on, so that a release that was killed between sending and noting is noted by the next one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import polars as pl
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef
from pipelines.config.policies import Retention
from pipelines.contracts.tables import RELEASES, RELEASES_NAME
from pipelines.errors import CommitConflictError
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.log.interface import Log
from pipelines.log.scan import scan
from pipelines.silver.release_header import release_mask

_ATTEMPTS = 5  # against somebody else's commit, say a compaction
_KEEP_SNAPSHOTS, _EXPIRE_ABOVE = 30, 60
_CHUNK = 50_000  # records read from the log at a time


@dataclass(frozen=True)
class ReleaseHistory:
    """All releases noted, in the order in which the log got them."""

    rows: pl.DataFrame

    @classmethod
    def read(cls, lake: Lake) -> Self:
        """As the table says now; empty where nothing was ever released."""
        table = lake.find(RELEASES_NAME)
        empty = pl.DataFrame(pl.from_arrow(RELEASES.empty_table()))
        rows = empty if table is None else pl.DataFrame(pl.from_arrow(table.read())).cast(empty.schema)
        return cls(rows.sort("released_at", "topic", "release_partition", "release_offset", maintain_order=True))

    @cached_property
    def _links(self) -> tuple[dict[tuple[str, RecordRef], list[RecordRef]], dict[tuple[str, RecordRef], RecordRef]]:
        copies: dict[tuple[str, RecordRef], list[RecordRef]] = {}
        origins: dict[tuple[str, RecordRef], RecordRef] = {}
        names = ("topic", "partition", "offset", "release_partition", "release_offset")
        for topic, partition, offset, release_partition, release_offset in self.rows.select(names).iter_rows():
            copies.setdefault((topic, (partition, offset)), []).append((release_partition, release_offset))
            origins[topic, (release_partition, release_offset)] = partition, offset
        return copies, origins

    def copies(self, topic: str, place: RecordRef) -> Sequence[RecordRef]:
        """Where the copies of a record lie that were released from it."""
        return self._links[0].get((topic, place), [])

    def origin(self, topic: str, place: RecordRef) -> RecordRef | None:
        """The record that a copy was released from."""
        return self._links[1].get((topic, place))

    def root(self, topic: str, place: RecordRef) -> RecordRef:
        """The record at the beginning of a chain of releases; the place itself where it is no copy."""
        while (origin := self.origin(topic, place)) is not None:
            place = origin
        return place

    def generation(self, topic: str, place: RecordRef) -> int:
        """How many releases lie between a record and its root."""
        count = 0
        while (origin := self.origin(topic, place)) is not None:
            place, count = origin, count + 1
        return count


@dataclass(frozen=True, slots=True)
class PendingRelease:
    """A release under way: whose log, where each partition ended before it, and by which fix."""

    log_id: str
    topic_id: str
    offsets: Mapping[int, int]
    fix: str | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"offsets": {str(partition): offset for partition, offset in self.offsets.items()}}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        offsets = {int(partition): offset for partition, offset in found["offsets"].items()}
        return cls(found["log_id"], found["topic_id"], offsets, found["fix"])


class ReleaseTable:
    """`ops.releases` for the one that writes it, who holds the home's lock for releases."""

    def __init__(self, lake: Lake) -> None:
        self._table: LakeTable = lake.ensure(RELEASES_NAME, RELEASES)

    def _pending(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._table.properties().get("pending", "{}"))
        return found

    def intent(self, topic: str) -> PendingRelease | None:
        """The release of the topic that was begun and not finished."""
        found = self._pending().get(topic)
        return None if found is None else PendingRelease.from_dict(found)

    def intend(self, topic: str, intent: PendingRelease) -> None:
        """Write down that a release begins, in a commit of its own."""
        for attempt in range(_ATTEMPTS):
            try:
                self._table.set_properties({"pending": encode({**self._pending(), topic: intent.to_dict()})})
                return
            except CommitConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def note(self, topic: str, rows: Sequence[Mapping[str, Any]], *, finished: bool) -> None:
        """Add rows; in the same commit, when `finished`, forget the intent."""
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=RELEASES)
        for attempt in range(_ATTEMPTS):
            pending = self._pending()
            if finished:
                pending.pop(topic, None)
            try:
                if rows:
                    self._table.append(table, {"topic": topic}, properties={"pending": encode(pending)})
                elif finished:
                    self._table.set_properties({"pending": encode(pending)})
                break
            except CommitConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
        if self._table.snapshot_count > _EXPIRE_ABOVE:
            self._table.expire(self._table.expendable(datetime.now(UTC), Retention(commits=_KEEP_SNAPSHOTS)))


def copies_in_log(log: Log, topic: str, since: Mapping[int, int]) -> Iterator[pa.Table]:
    """Records of the log (schema RECORDS) from these offsets on that carry a release header, whatever it names."""
    state = log.topic_state(topic)
    at = {p: max(offset, state.first_offsets[p]) for p, offset in since.items() if p in state.end_offsets}
    for records in scan(log, topic, at, state.end_offsets, _CHUNK):
        yield records.filter(pa.array(release_mask(records)))


def copies_in_bronze(bronze: LakeTable, since: Mapping[int, int]) -> Iterator[pa.Table]:
    """The same from bronze, for what the log no longer holds."""
    columns = ["partition", "offset", "timestamp", "key", "headers", "value"]
    rows = bronze.read_between("offset", min(since.values(), default=0), None, columns)
    places = zip(rows.column("partition").to_pylist(), rows.column("offset").to_pylist(), strict=True)
    later = [partition in since and offset >= since[partition] for partition, offset in places]
    found = rows.filter(pa.array(later, pa.bool_()))
    yield found.filter(pa.array(release_mask(found)))
