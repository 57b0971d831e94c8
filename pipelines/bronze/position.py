"""The read position of a bronze table, stored in the summary of each of its snapshots."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.bronze.incarnations import Incarnation
from pipelines.lake.commits import encode
from pipelines.lake.table import LakeTable


@dataclass(frozen=True, slots=True)
class Position:
    """The read position of a bronze table: its last batch, the next offset of each partition, the log's identity.

    Partitions have bronze's numbers (see incarnations.py). The partitions of landing files and of earlier incarnations
    remain in `next_offsets`.
    """

    batch_id: int
    next_offsets: Mapping[int, int]
    log_id: str | None
    topic_id: str | None
    landed: tuple[Mapping[str, Any], ...] = ()  # ingested files that are not in `ops.landing_files` yet
    first_offsets: Mapping[int, int] = field(default_factory=dict)  # the log's first offsets at the last commit
    incarnations: tuple[Incarnation, ...] = ()  # empty if the topic was never recreated
    gaps: tuple[Mapping[str, Any], ...] = ()  # rows that are not in `ops.log_gaps` yet

    @property
    def all_incarnations(self) -> tuple[Incarnation, ...]:
        """The topics that this table was read from; the current one is last."""
        return self.incarnations or (Incarnation(0, self.log_id, self.topic_id, {}),)

    @property
    def incarnation(self) -> Incarnation:
        """The topic that is read now."""
        return self.all_incarnations[-1]

    @property
    def newest(self) -> int:
        """The number of the current incarnation."""
        return self.incarnation.number

    @classmethod
    def of(cls, table: LakeTable) -> "Position":
        """The position in the table's newest checkpoint; the beginning for an empty table."""
        stored = table.checkpoint()
        if "offsets" not in stored:
            return cls(0, {}, None, None)
        return cls(
            int(stored["batch-id"]),
            _offsets(stored["offsets"]),
            stored.get("log-id"),
            stored.get("topic-id"),
            tuple(json.loads(stored.get("landed", "[]"))),
            _offsets(stored.get("first-offsets", "{}")),
            tuple(Incarnation.from_dict(one) for one in json.loads(stored.get("incarnations", "[]"))),
            tuple(json.loads(stored.get("gaps", "[]"))),
        )

    def checkpoint(self) -> dict[str, str]:
        """The form in a snapshot's summary."""
        stored = {
            "batch-id": str(self.batch_id),
            "offsets": encode({str(partition): offset for partition, offset in sorted(self.next_offsets.items())}),
        }
        if self.landed:
            stored["landed"] = encode(list(self.landed))
        if self.log_id is not None:
            stored["log-id"] = self.log_id
        if self.topic_id is not None:
            stored["topic-id"] = self.topic_id
        if self.first_offsets:
            stored["first-offsets"] = encode({str(p): offset for p, offset in sorted(self.first_offsets.items())})
        if self.incarnations:
            stored["incarnations"] = encode([own.to_dict() for own in self.incarnations])
        if self.gaps:
            stored["gaps"] = encode(list(self.gaps))
        return stored


def _offsets(text: str) -> dict[int, int]:
    return {int(partition): int(offset) for partition, offset in json.loads(text).items()}
