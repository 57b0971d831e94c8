"""The policies of a topic and the bronze batches they apply to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.config.policies import Policy
from pipelines.contracts.tables import checkpoint_table
from pipelines.lake.catalog import Lake


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy and the first bronze batch it holds for."""

    from_batch: int
    contract_version: int
    policy: Policy

    def to_dict(self) -> dict[str, Any]:
        """For the table property."""
        return {
            "from_batch": self.from_batch,
            "contract_version": self.contract_version,
            "policy": json.loads(self.policy.to_json()),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "PolicyEntry":
        """What `to_dict` gave."""
        return cls(found["from_batch"], found["contract_version"], Policy.from_json(json.dumps(found["policy"])))


def recorded_policies(lake: Lake, topic: str) -> list[PolicyEntry]:
    """The policies that the topic's anchor remembers, by the batch from which each holds; [] where there is none."""
    anchor = lake.find(checkpoint_table(topic))
    found = anchor.properties().get("policies", "[]") if anchor is not None else "[]"
    return [PolicyEntry.from_dict(entry) for entry in json.loads(found)]
