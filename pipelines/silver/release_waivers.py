"""Which records are releases of quarantined records, and which of them repeat an accepted release (R27)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef
from pipelines.silver.batch_rows import BATCH, NO_RELEASES
from pipelines.silver.release_header import ReleaseFlags, origins, release_mask
from pipelines.silver.verdicts import BatchVerdicts


class BronzeKey(NamedTuple):
    """A record's place in bronze order."""

    batch_id: int
    partition: int
    offset: int


class AcceptedRelease(NamedTuple):
    """A release that silver accepted."""

    origin: RecordRef  # the quarantined record
    copy: RecordRef  # the record that was accepted


@dataclass(frozen=True, slots=True)
class ReleaseLookups:
    """Reads of one topic's tables. Each takes any refs and returns what it finds for them."""

    before: Callable[[Sequence[RecordRef], BronzeKey], set[RecordRef]]  # records that come before the key in bronze
    quarantined: Callable[[Sequence[RecordRef]], set[RecordRef]]  # records in `silver.quarantine`
    accepted: Callable[[Sequence[RecordRef]], Sequence[AcceptedRelease]]  # by origin, from `silver.releases`


class Waivers:
    """Evaluates the release headers of bronze rows of one topic, piece by piece in bronze order.

    Quarantined records and accepted releases are known from the tables and from earlier pieces (`add`). A row whose
    release may depend on an earlier row of its batch must therefore begin a piece.
    """

    def __init__(self, topic: str, lookups: ReleaseLookups) -> None:
        self._topic, self._lookups = topic, lookups
        self._quarantined: set[RecordRef] = set()  # of earlier pieces
        self._claims: list[tuple[int, RecordRef]] = []  # of the current piece: row, the quarantined record it releases
        self._accepted: list[dict[str, Any]] = []  # of earlier pieces

    def flags(self, piece: pa.Table) -> ReleaseFlags:
        """Which records of the next piece are releases."""
        mask = release_mask(piece)
        named = origins(self._topic, piece, mask)
        refs = sorted({ref for claimed in named.values() for ref in claimed})
        first = BronzeKey(*(piece.column(name)[0].as_py() for name in BronzeKey._fields))
        known = (self._lookups.quarantined(refs) | self._quarantined) & self._lookups.before(refs, first)
        # The table may be ahead of this batch: only releases before the piece count.
        accepted = self._lookups.accepted(refs)
        earlier = self._lookups.before([release.copy for release in accepted], first)
        released = {release.origin for release in accepted if release.copy in earlier}
        released |= {(row["partition"], row["offset"]) for row in self._accepted}
        flags = ReleaseFlags(np.zeros(len(mask), bool), np.zeros(len(mask), bool))
        self._claims = []
        for row, claimed in named.items():
            origin = next((ref for ref in claimed if ref in known), None)
            if origin is not None:
                flags.is_release[row], flags.is_repeated[row] = True, origin in released
                self._claims.append((row, origin))
        return flags

    def add(self, piece: pa.Table, verdicts: BatchVerdicts) -> None:
        """Take the verdicts of the piece that `flags` got last."""
        refs = piece.select(["partition", "offset"]).take(verdicts.quarantined["row"].to_arrow())
        self._quarantined.update(zip(*(column.to_pylist() for column in refs.columns), strict=True))
        accepted = set(verdicts.accepted["row"].to_list()) if self._claims else set()
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
        """Accepted releases of all pieces: columns of ACCEPTED_RELEASES and BATCH."""
        return pa.Table.from_pylist(self._accepted, schema=NO_RELEASES.schema)
