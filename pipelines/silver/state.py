"""The state that a silver checkpoint stores: consumed batches and event time per partition."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pipelines.config.policies import Policy
from pipelines.contracts.tables import checkpoint_table
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.silver.policy_history import PolicyHistory
from pipelines.silver.watermark import PartitionState


@dataclass(frozen=True, slots=True)
class TopicState:
    """All that the verdicts of a batch depend on, except accepted ids, quarantine and policies."""

    consumed: int  # the last bronze batch in silver; 0: none
    partitions: Mapping[int, PartitionState]

    @classmethod
    def of(cls, checkpoint: LakeTable) -> Self:
        """The state that a checkpoint table stores."""
        stored = checkpoint.checkpoint()
        pairs = json.loads(stored.get("state", "{}"))
        partitions = {int(partition): PartitionState(*pair) for partition, pair in pairs.items()}
        return cls(int(stored.get("consumed", 0)), partitions)

    def to_checkpoint(self) -> dict[str, str]:
        """The stored form of which `of` makes this state."""
        pairs = {str(p): [state.high, state.last_record_at] for p, state in sorted(self.partitions.items())}
        return {"consumed": str(self.consumed), "state": encode(pairs)}


def consumed_through(lake: Lake, topic: str) -> int:
    """The last bronze batch that the topic's silver has consumed; 0: none."""
    checkpoint = lake.find(checkpoint_table(topic))
    return TopicState.of(checkpoint).consumed if checkpoint is not None else 0


def read_state(lake: Lake, topic: str) -> tuple[Mapping[int, PartitionState], Policy] | None:
    """A topic's per-partition state and the policy of the last batch consumed; None where it has no silver table."""
    checkpoint = lake.find(checkpoint_table(topic))
    if checkpoint is None:
        return None
    state = TopicState.of(checkpoint)
    return state.partitions, PolicyHistory.of(checkpoint).policy_of(state.consumed)
