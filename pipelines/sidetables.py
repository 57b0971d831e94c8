"""What silver keeps beside its events: the quarantine of all topics, and which of its records a release brought in.

Both are committed before any anchor and say in their snapshots what they have consumed by topic, like every silver
table; so one commit of each serves a whole micro-batch. Source: R25, R27.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.cut import Cut
from pipelines.judge import Judged
from pipelines.lake import Lake, LakeTable, encode
from pipelines.released import origins, release_mask
from pipelines.schemas import ACCEPTED_RELEASES, QUARANTINE

QUARANTINE_NAME = "silver.quarantine"
RELEASES_NAME = "silver.releases"
BATCH = "_batch_id"  # of rows on their way into a table; no evolved column can have this name
NO_RELEASES = ACCEPTED_RELEASES.append(pa.field(BATCH, pa.int64())).empty_table()
Place = tuple[int, int]  # partition, offset


class Worked(Protocol):
    """What is read of an outcome (`silver.Outcome`)."""

    topic: str
    through: int
    quarantined: pa.Table
    releases: pa.Table


class Quarantine:
    """`silver.quarantine` and `silver.releases`. One thread, one holder."""

    def __init__(self, lake: Lake) -> None:
        self.table = lake.ensure(QUARANTINE_NAME, QUARANTINE, day_of="quarantined_at")
        self.releases = lake.ensure(RELEASES_NAME, ACCEPTED_RELEASES)

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """Both tables."""
        return (self.releases, self.table)

    def reload(self) -> None:
        """Take the tables as they are now."""
        for table in self.tables:
            table.reload()

    def commit(self, outcomes: Sequence[Worked]) -> None:
        """Append what the outcomes bring, each row once, whichever run worked them out."""
        _append(self.releases, [(outcome.topic, outcome.through, outcome.releases) for outcome in outcomes])
        _append(self.table, [(outcome.topic, outcome.through, outcome.quarantined) for outcome in outcomes])

    def holds(self, topic: str, places: Sequence[Place]) -> set[Place]:
        """Those of the places whose records are quarantined."""
        return _held(self.table, topic, places)

    def has_released(self, topic: str, places: Sequence[Place]) -> set[Place]:
        """Those of the places whose records a release brought into silver."""
        return _held(self.releases, topic, places)


def _append(table: LakeTable, parts: Sequence[tuple[str, int, pa.Table]]) -> None:
    consumed: dict[str, int] = json.loads(table.stamp().get("consumed", "{}"))
    fresh = [(topic, through, after(rows, consumed.get(topic, 0))) for topic, through, rows in parts]
    fresh = [part for part in fresh if part[2].num_rows]
    if fresh:
        consumed |= {topic: through for topic, through, _ in fresh}
        table.append(pa.concat_tables([rows for _, _, rows in fresh]), {"consumed": encode(consumed)})


def _held(table: LakeTable, topic: str, places: Sequence[Place]) -> set[Place]:
    found: set[Place] = set()
    for partition, offsets in _by_partition(places).items():
        rows = table.read_in("offset", offsets, ["partition", "offset"], {"topic": topic, "partition": partition})
        found.update((row["partition"], row["offset"]) for row in rows)
    return found


class Waivers:
    """The release headers of some bronze rows of one topic, judged piece by piece in bronze order.

    Each record with a header begins a piece, so that all that was quarantined or released before it is known: by the
    tables, or by the pieces before it (`note`).
    """

    def __init__(self, topic: str, bronze: LakeTable, quarantine: Quarantine) -> None:
        self._topic, self._bronze, self._quarantine = topic, bronze, quarantine
        self._stopped: set[Place] = set()
        self._claims: list[tuple[int, Place]] = []  # of the piece at hand: row, the quarantined record it releases
        self._accepted: list[dict[str, Any]] = []

    def of(self, piece: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which records release a quarantined record of this topic, and which of them repeat an accepted release."""
        mask = release_mask(piece)
        named = origins(self._topic, piece, mask)
        places = sorted({place for claimed in named.values() for place in claimed})
        known = (self._quarantine.holds(self._topic, places) | self._stopped) & self._before(places, piece)
        brought = self._quarantine.has_released(self._topic, places) & self._released_before(places, piece)
        brought |= {(row["partition"], row["offset"]) for row in self._accepted}
        released, repeated = np.zeros(len(mask), bool), np.zeros(len(mask), bool)
        self._claims = []
        for row, claimed in named.items():
            origin = next((place for place in claimed if place in known), None)
            if origin is not None:
                released[row], repeated[row] = True, origin in brought
                self._claims.append((row, origin))
        return released, repeated

    def note(self, piece: pa.Table, judged: Judged) -> None:
        """Remember what the piece came to."""
        places = piece.select(["partition", "offset"]).take(judged.quarantined["row"].to_arrow())
        self._stopped.update(zip(*(column.to_pylist() for column in places.columns), strict=True))
        accepted = set(judged.accepted["row"].to_list()) if self._claims else set()
        for row, (partition, offset) in self._claims:
            if row in accepted:
                self._accepted.append(
                    {
                        "topic": self._topic,
                        "partition": partition,
                        "offset": offset,
                        "release_partition": piece.column("partition")[row].as_py(),
                        "release_offset": piece.column("offset")[row].as_py(),
                        BATCH: piece.column("batch_id")[row].as_py(),
                    }
                )

    def accepted(self) -> pa.Table:
        """Releases accepted so far: columns of ACCEPTED_RELEASES and BATCH."""
        return pa.Table.from_pylist(self._accepted, schema=NO_RELEASES.schema)

    def _before(self, places: Sequence[Place], piece: pa.Table) -> set[Place]:
        """Those of the places whose records lie before the piece in bronze order."""
        names = ["batch_id", "partition", "offset"]
        first = tuple(piece.column(name)[0].as_py() for name in names)
        rows = read_places(self._bronze, places, names)
        found = {(row["partition"], row["offset"]) for row in rows if tuple(row[name] for name in names) < first}
        cut = Cut.of(self._bronze)
        return found | {place for place in places if cut.has(*place)}

    def _released_before(self, places: Sequence[Place], piece: pa.Table) -> set[Place]:
        """Those of the places that a record before the piece released: the table may be ahead of this run."""
        found: set[Place] = set()
        for partition, offsets in _by_partition(places).items():
            columns = ["partition", "offset", "release_partition", "release_offset"]
            equal = {"topic": self._topic, "partition": partition}
            rows = list(self._quarantine.releases.read_in("offset", offsets, columns, equal))
            copies = [(row["release_partition"], row["release_offset"]) for row in rows]
            before = self._before(copies, piece)
            found.update(
                (row["partition"], row["offset"]) for row, copy in zip(rows, copies, strict=True) if copy in before
            )
        return found


def read_places(bronze: LakeTable, places: Sequence[Place], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Bronze rows of these (partition, offset)."""
    if places:
        bronze.reload()  # others write it: what is held may be old, and its files compacted away
    for partition, offsets in _by_partition(places).items():
        yield from bronze.read_in("offset", offsets, columns, {"partition": partition})


def _by_partition(places: Sequence[Place]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for partition, offset in sorted(places):
        found.setdefault(partition, []).append(offset)
    return found


def after(rows: pa.Table, batch_id: int) -> pa.Table:
    """The rows of batches after the given one, without `BATCH`."""
    batches = rows.column(BATCH)
    kept = rows
    if rows.num_rows and pc.min(batches).as_py() <= batch_id:
        kept = rows.filter(pc.greater(batches, batch_id))
    return kept.drop_columns([BATCH])
