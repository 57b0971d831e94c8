"""How far a bronze table has read its topic: what every one of its snapshots says in its summary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.bronze.incarnations import Incarnation
from pipelines.lake.catalog import LakeTable, encode


@dataclass(frozen=True, slots=True)
class Position:
    """What a bronze table covers: its last batch, the offset to read next by partition, and whose log it was.

    Partitions have bronze's numbers (incarnations.py); those of files and of topics that are gone stay among them.
    """

    batch_id: int
    next_offsets: Mapping[int, int]
    log_id: str | None
    topic_id: str | None
    landed: tuple[Mapping[str, Any], ...] = ()  # files ingested that `ops.landing_files` does not hold yet
    first_offsets: Mapping[int, int] = field(default_factory=dict)  # that the log held when it was last looked at
    incarnations: tuple[Incarnation, ...] = ()  # all topics this table was read from, where there was more than one
    gaps: tuple[Mapping[str, Any], ...] = ()  # rows that `ops.log_gaps` does not hold yet

    @property
    def all_incarnations(self) -> tuple[Incarnation, ...]:
        """The topics this table was read from, the one read now last."""
        return self.incarnations or (Incarnation(0, self.log_id, self.topic_id, {}),)

    @property
    def incarnation(self) -> Incarnation:
        """The topic read now."""
        return self.all_incarnations[-1]

    @property
    def newest(self) -> int:
        """The number of the newest incarnation."""
        return self.incarnation.number

    @classmethod
    def of(cls, table: LakeTable) -> "Position":
        """As the table's newest stamped snapshot says; the beginning for an empty table."""
        stamp = table.checkpoint()
        if "offsets" not in stamp:
            return cls(0, {}, None, None)
        return cls(
            int(stamp["batch-id"]),
            _offsets(stamp["offsets"]),
            stamp.get("log-id"),
            stamp.get("topic-id"),
            tuple(json.loads(stamp.get("landed", "[]"))),
            _offsets(stamp.get("first-offsets", "{}")),
            tuple(Incarnation.from_dict(found) for found in json.loads(stamp.get("incarnations", "[]"))),
            tuple(json.loads(stamp.get("gaps", "[]"))),
        )

    def checkpoint(self) -> dict[str, str]:
        """The position as a snapshot's summary holds it."""
        found = {
            "batch-id": str(self.batch_id),
            "offsets": encode({str(partition): offset for partition, offset in sorted(self.next_offsets.items())}),
        }
        if self.landed:
            found["landed"] = encode(list(self.landed))
        if self.log_id is not None:
            found["log-id"] = self.log_id
        if self.topic_id is not None:
            found["topic-id"] = self.topic_id
        if self.first_offsets:
            found["first-offsets"] = encode({str(p): offset for p, offset in sorted(self.first_offsets.items())})
        if self.incarnations:
            found["incarnations"] = encode([own.to_dict() for own in self.incarnations])
        if self.gaps:
            found["gaps"] = encode(list(self.gaps))
        return found


def _offsets(text: str) -> dict[int, int]:
    return {int(partition): int(offset) for partition, offset in json.loads(text).items()}
