"""The policies of a topic and the bronze batches they apply to (R18)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from pipelines.config.policies import Policy
from pipelines.contracts.registry import VERSION
from pipelines.contracts.tables import checkpoint_table
from pipelines.lake.catalog import Lake, LakeTable, encode

PROPERTY = "policies"  # of the checkpoint table


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy and the first bronze batch it applies to."""

    from_batch: int
    contract_version: int
    policy: Policy

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "from_batch": self.from_batch,
            "contract_version": self.contract_version,
            "policy": json.loads(self.policy.to_json()),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The entry of which `to_dict` made `stored`."""
        return cls(stored["from_batch"], stored["contract_version"], Policy.from_json(json.dumps(stored["policy"])))


@dataclass(frozen=True, slots=True)
class PolicyHistory:
    """All policies of a topic, by rising `from_batch`. There is always one; the first also covers batches before it."""

    entries: tuple[PolicyEntry, ...]

    @classmethod
    def starting_with(cls, policy: Policy) -> Self:
        """One policy for all batches, under the current contract."""
        return cls((PolicyEntry(1, VERSION, policy),))

    @classmethod
    def of(cls, checkpoint: LakeTable) -> Self:
        """The history that a checkpoint table stores. Raises KeyError where it stores none."""
        return cls(tuple(PolicyEntry.from_dict(entry) for entry in json.loads(checkpoint.properties()[PROPERTY])))

    def to_json(self) -> str:
        """The text of the table property."""
        return encode([entry.to_dict() for entry in self.entries])

    @property
    def newest(self) -> Policy:
        """The last policy."""
        return self.entries[-1].policy

    @property
    def first_batches(self) -> tuple[int, ...]:
        """The batches from which another policy applies."""
        return tuple(entry.from_batch for entry in self.entries)

    def policy_of(self, batch_id: int) -> Policy:
        """The policy that applies to a bronze batch."""
        return self._entry_of(batch_id).policy

    def _entry_of(self, batch_id: int) -> PolicyEntry:
        return next((entry for entry in reversed(self.entries) if entry.from_batch <= batch_id), self.entries[0])

    def changed_to(self, policy: Policy, *, consumed: int, last_batch: int) -> "PolicyHistory":
        """The history after the settings changed to `policy`.

        The policy applies from the batch after `last_batch`, the last one in bronze, and after `consumed`. Only its
        drift policy may apply earlier: see `_thawed`. Without a change, the result equals this history.
        """
        thawed = self._thawed(policy.drift, consumed)
        newest = thawed[-1]
        if newest.policy == policy and newest.contract_version == VERSION:
            return PolicyHistory(thawed)
        next_batch = max(last_batch, consumed) + 1
        kept = [entry for entry in thawed if entry.from_batch < next_batch]
        return PolicyHistory((*kept, PolicyEntry(next_batch, VERSION, policy)))

    def _thawed(self, drift: str, consumed: int) -> tuple[PolicyEntry, ...]:
        """The entries, with `freeze` replaced by the new drift policy for batches that silver has not consumed.

        The batch that froze silver is in bronze already, so the next bronze batch would be too late (R29). Batches
        that `freeze` lets through have the same rows under the other policies.
        """
        first = consumed + 1
        later = [entry for entry in self.entries if entry.from_batch > first]
        pending = [replace(self._entry_of(first), from_batch=first), *later]
        if drift == "freeze" or all(entry.policy.drift != "freeze" for entry in pending):
            return self.entries
        thawed = [
            replace(entry, policy=replace(entry.policy, drift=drift)) if entry.policy.drift == "freeze" else entry
            for entry in pending
        ]
        return (*(entry for entry in self.entries if entry.from_batch < first), *thawed)


def recorded_policies(lake: Lake, topic: str) -> PolicyHistory | None:
    """The history that the topic's checkpoint table stores; None where there is no such table or history."""
    checkpoint = lake.find(checkpoint_table(topic))
    return None if checkpoint is None or PROPERTY not in checkpoint.properties() else PolicyHistory.of(checkpoint)
