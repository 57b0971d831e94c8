"""Which released records waive the lateness rule, and which repeat an earlier release."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef, by_partition, read_records
from pipelines.bronze.removed_range import RemovedRange
from pipelines.lake.catalog import LakeTable
from pipelines.silver.quarantine_table import BATCH, NO_RELEASES, Quarantine
from pipelines.silver.release_header import origins, release_mask
from pipelines.silver.verdicts import BatchVerdicts


class Waivers:
    """The release headers of some bronze rows of one topic, judged piece by piece in bronze order.

    Each record with a header begins a piece, so that all that was quarantined or released before it is known: by the
    tables, or by the pieces before it (`note`).
    """

    def __init__(self, topic: str, bronze: LakeTable, quarantine: Quarantine) -> None:
        self._topic, self._bronze, self._quarantine = topic, bronze, quarantine
        self._stopped: set[RecordRef] = set()
        self._claims: list[tuple[int, RecordRef]] = []  # of the piece at hand: row, the quarantined record it releases
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

    def note(self, piece: pa.Table, judged: BatchVerdicts) -> None:
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

    def _before(self, places: Sequence[RecordRef], piece: pa.Table) -> set[RecordRef]:
        """Those of the places whose records lie before the piece in bronze order."""
        names = ["batch_id", "partition", "offset"]
        first = tuple(piece.column(name)[0].as_py() for name in names)
        rows = read_records(self._bronze, places, names)
        found = {(row["partition"], row["offset"]) for row in rows if tuple(row[name] for name in names) < first}
        cut = RemovedRange.of(self._bronze)
        return found | {place for place in places if cut.has(*place)}

    def _released_before(self, places: Sequence[RecordRef], piece: pa.Table) -> set[RecordRef]:
        """Those of the places that a record before the piece released: the table may be ahead of this run."""
        found: set[RecordRef] = set()
        for partition, offsets in by_partition(places).items():
            columns = ["partition", "offset", "release_partition", "release_offset"]
            equal = {"topic": self._topic, "partition": partition}
            rows = list(self._quarantine.releases.read_in("offset", offsets, columns, equal))
            copies = [(row["release_partition"], row["release_offset"]) for row in rows]
            before = self._before(copies, piece)
            found.update(
                (row["partition"], row["offset"]) for row, copy in zip(rows, copies, strict=True) if copy in before
            )
        return found
