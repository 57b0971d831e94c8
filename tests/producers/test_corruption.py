import json

import pytest

from pipelines.contracts.registry import CONTRACTS, TOPICS
from producers import corruption
from producers.data_faults import FaultKind
from producers.world import Batch
from tests.reference.contract import Policy, check


@pytest.mark.parametrize("topic", TOPICS)
def test_every_contract_violation_breaks_exactly_its_rule(topic: str, batches: list[Batch]) -> None:
    seen: dict[str, bytes] = {}
    for batch in batches:
        if batch.topic == topic:
            for value, kind in zip(batch.records["value"].to_pylist(), batch.facts["kind"], strict=True):
                if kind == FaultKind.NONE:
                    seen.setdefault(json.loads(value)["event_type"], value)
    assert set(seen) >= set(CONTRACTS[topic].event_types) - {"delete", "transfer_in"}
    for value in seen.values():
        count = len(corruption.contract_violations(CONTRACTS[topic], json.loads(value)))
        assert count > 5
        for number in range(count):
            corrupted = corruption.violate_contract(CONTRACTS[topic], value, (number + 0.5) / count)
            assert corrupted.value is not None
            assert check(topic, corrupted.value, Policy()).reasons == {corrupted.reason}, corrupted


def test_every_json_fault_breaks_exactly_its_rule() -> None:
    for number in range(17):
        corrupted = corruption.break_json(b'{"event_id":"x","event_type":"sale","note":"a"}', (number + 0.5) / 17)
        assert check("pos-transactions", corrupted.value, Policy()).reasons == {corrupted.reason}
