"""`ops.releases`: which quarantined record was sent to the log again, and where its copy is (R27).

A table property stores the pending release of each topic. It is written before anything is sent, with the end offsets
of the log, so that the next release can find the copies of a release that was killed before it recorded them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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

_ATTEMPTS = 5  # at a commit, against other writers such as a compaction
_KEEP_SNAPSHOTS, _EXPIRE_ABOVE = 30, 60


@dataclass(frozen=True, slots=True)
class ReleaseEntry:
    """A row of `ops.releases`: one copy of a quarantined record."""

    topic: str
    partition: int
    offset: int
    release_partition: int
    release_offset: int
    fix: str | None
    value_sha256: str | None
    released_at: datetime | None

    @property
    def origin(self) -> RecordRef:
        """The quarantined record."""
        return self.partition, self.offset

    @property
    def copy(self) -> RecordRef:
        """The record that was sent."""
        return self.release_partition, self.release_offset


def release_rows(entries: Sequence[ReleaseEntry]) -> pa.Table:
    """The entries with schema RELEASES."""
    return pa.Table.from_pylist([asdict(entry) for entry in entries], schema=RELEASES)


@dataclass(frozen=True)
class ReleaseHistory:
    """All recorded releases (schema RELEASES), in the order of the log."""

    rows: pl.DataFrame

    @classmethod
    def read(cls, lake: Lake) -> Self:
        """The rows of the table; none where it does not exist."""
        table = lake.find(RELEASES_NAME)
        empty = pl.DataFrame(pl.from_arrow(RELEASES.empty_table()))
        rows = empty if table is None else pl.DataFrame(pl.from_arrow(table.read())).cast(empty.schema)
        return cls(rows.sort("released_at", "topic", "release_partition", "release_offset", maintain_order=True))

    def with_entries(self, entries: Sequence[ReleaseEntry]) -> "ReleaseHistory":
        """This history followed by entries that the table does not have."""
        return ReleaseHistory(pl.concat([self.rows, pl.DataFrame(pl.from_arrow(release_rows(entries)))]))

    @cached_property
    def _links(self) -> tuple[dict[tuple[str, RecordRef], list[RecordRef]], dict[tuple[str, RecordRef], RecordRef]]:
        copies: dict[tuple[str, RecordRef], list[RecordRef]] = {}
        origins: dict[tuple[str, RecordRef], RecordRef] = {}
        names = ("topic", "partition", "offset", "release_partition", "release_offset")
        for topic, partition, offset, release_partition, release_offset in self.rows.select(names).iter_rows():
            copies.setdefault((topic, (partition, offset)), []).append((release_partition, release_offset))
            origins[topic, (release_partition, release_offset)] = partition, offset
        return copies, origins

    def copies(self, topic: str, ref: RecordRef) -> Sequence[RecordRef]:
        """The copies that were released from a record."""
        return self._links[0].get((topic, ref), [])

    def origin(self, topic: str, ref: RecordRef) -> RecordRef | None:
        """The record that a copy was released from; None where the record is no copy."""
        return self._links[1].get((topic, ref))

    def root(self, topic: str, ref: RecordRef) -> RecordRef:
        """The first record of a chain of releases; the record itself where it is no copy."""
        while (origin := self.origin(topic, ref)) is not None:
            ref = origin
        return ref

    def generation(self, topic: str, ref: RecordRef) -> int:
        """The number of releases between a record and its root."""
        count = 0
        while (origin := self.origin(topic, ref)) is not None:
            ref, count = origin, count + 1
        return count


@dataclass(frozen=True, slots=True)
class PendingRelease:
    """A release that has begun: identity of log and topic, end offset of each partition before it, and its fix."""

    log_id: str
    topic_id: str
    offsets: Mapping[int, int]
    fix: str | None

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return asdict(self) | {"offsets": {str(partition): offset for partition, offset in self.offsets.items()}}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The value of which `to_dict` made `stored`."""
        offsets = {int(partition): offset for partition, offset in stored["offsets"].items()}
        return cls(stored["log_id"], stored["topic_id"], offsets, stored["fix"])


class ReleaseTable:
    """Writes `ops.releases`. The holder also holds the home's lock for releases."""

    def __init__(self, lake: Lake) -> None:
        self._table: LakeTable = lake.ensure(RELEASES_NAME, RELEASES)

    def _all_pending(self) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads(self._table.properties().get("pending", "{}"))
        return stored

    def pending(self, topic: str) -> PendingRelease | None:
        """The release of the topic that began and did not finish."""
        stored = self._all_pending().get(topic)
        return None if stored is None else PendingRelease.from_dict(stored)

    def begin(self, topic: str, pending: PendingRelease) -> None:
        """Record, in a commit of its own, that a release begins."""
        _retry(
            lambda: self._table.set_properties({"pending": encode({**self._all_pending(), topic: pending.to_dict()})})
        )

    def record(self, topic: str, entries: Sequence[ReleaseEntry], *, finished: bool) -> None:
        """Append entries. If `finished`, remove the pending release in the same commit."""
        rows = release_rows(entries)

        def commit() -> None:
            pending = self._all_pending()
            if finished:
                pending.pop(topic, None)
            if entries:
                self._table.append(rows, {"topic": topic}, properties={"pending": encode(pending)})
            elif finished:
                self._table.set_properties({"pending": encode(pending)})

        _retry(commit)
        if self._table.snapshot_count > _EXPIRE_ABOVE:
            self._table.expire(self._table.expendable(datetime.now(UTC), Retention(commits=_KEEP_SNAPSHOTS)))


def _retry(commit: Callable[[], object]) -> None:
    """Commit, again after a conflict with another writer. Raises CommitConflictError after the last attempt."""
    for attempt in range(_ATTEMPTS):
        try:
            commit()
        except CommitConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return
