"""The state that a silver checkpoint stores: consumed batches and per-partition watermarks."""

import json
from collections.abc import Mapping

from pipelines.config.policies import Policy
from pipelines.contracts.tables import checkpoint_table
from pipelines.lake.catalog import Lake
from pipelines.silver.policy_history import recorded_policies
from pipelines.silver.watermark import PartitionState


def consumed_through(lake: Lake, topic: str) -> int:
    """The last bronze batch that the topic's anchor has consumed; 0: none."""
    anchor = lake.find(checkpoint_table(topic))
    return int(anchor.checkpoint().get("consumed", 0)) if anchor is not None else 0


def read_state(lake: Lake, topic: str) -> tuple[Mapping[int, PartitionState], Policy] | None:
    """A topic's per-partition state and the policy in force, as its anchor holds them; None where there is none."""
    anchor = lake.find(checkpoint_table(topic))
    if anchor is None:
        return None
    stamp = anchor.checkpoint()
    policies = recorded_policies(lake, topic)
    consumed = int(stamp.get("consumed", 0))
    policy = next((entry.policy for entry in reversed(policies) if entry.from_batch <= consumed), policies[0].policy)
    state = json.loads(stamp.get("state", "{}"))
    return {int(partition): PartitionState(*pair) for partition, pair in state.items()}, policy
