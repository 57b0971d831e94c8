import importlib
import pkgutil

import pytest

from pipelines.contracts import topics
from pipelines.contracts.registry import BUSINESS_TOPICS, CONTRACTS, TOPICS


def test_every_module_of_topics_is_registered_under_its_name() -> None:
    modules = [
        importlib.import_module(f"{topics.__name__}.{found.name}") for found in pkgutil.iter_modules(topics.__path__)
    ]
    assert {module.CONTRACT.topic for module in modules} == set(TOPICS)
    for module in modules:
        assert module.__name__.rpartition(".")[2] == module.CONTRACT.table


@pytest.mark.parametrize("topic", TOPICS)
def test_every_event_has_its_id_time_type_and_key(topic: str) -> None:
    contract = CONTRACTS[topic]
    assert [field.name for field in contract.fields[:3]] == ["event_id", "event_time", "event_type"]
    assert not any(
        contract.field(name).optional or contract.field(name).required_for for name in contract.delete_fields
    )


def test_only_master_data_has_deletes() -> None:
    assert {topic for topic in TOPICS if "delete" in CONTRACTS[topic].event_types} == set(TOPICS) - set(BUSINESS_TOPICS)
