"""Fields that the contract does not have, under each drift policy (R29)."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.settings import TopicSettings, load_settings
from pipelines.errors import DriftFrozenError
from pipelines.operations.verify import verify
from tests.pipelines.small_home import DAY, TOPIC, movement, rows, run_layers, sale, send


def drift(policy: str) -> dict[str, Any]:
    return {"topics": {TOPIC: TopicSettings(drift=policy)}}


def frozen(home: Path, *more: dict[str, Any]) -> None:
    """Bronze has four records. Silver stopped before the batch whose second record has an unknown field."""
    send(home, [movement(0)])
    run_layers(home, **drift("freeze"))
    send(home, [movement(1), movement(2, colour="red"), movement(3), *more])
    with pytest.raises(DriftFrozenError, match=r"colour at partition 1, offset 2.*evolve.*quarantine"):
        run_layers(home, **drift("freeze"))
    with pytest.raises(DriftFrozenError):
        run_layers(home, **drift("freeze"))


def failed(home: Path) -> list[str]:
    return [check.name for check in verify(load_settings(home=home), rebuild=True) if not check.ok]


def test_a_frozen_topic_keeps_its_rows_and_equals_its_rebuild(tmp_path: Path) -> None:
    frozen(tmp_path)
    settings = load_settings(home=tmp_path)
    assert rows(settings, "bronze.inventory_updates").height == 4
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e0"]
    assert failed(tmp_path) == [f"{TOPIC}: silver is up to date"]


@pytest.mark.parametrize(
    ("policy", "accepted"), [("evolve", ["e0", "e1", "e2", "e3"]), ("quarantine", ["e0", "e1", "e3"])]
)
def test_a_frozen_topic_continues_under_another_policy(tmp_path: Path, policy: str, accepted: list[str]) -> None:
    frozen(tmp_path)
    run_layers(tmp_path, **drift(policy))
    settings = load_settings(home=tmp_path)
    assert rows(settings, "silver.inventory_updates").sort("event_id")["event_id"].to_list() == accepted
    assert rows(settings, "silver.quarantine")["reasons"].to_list() == [["schema_drift"]] * (4 - len(accepted))
    assert failed(tmp_path) == []


def test_only_drift_changes_for_batches_already_in_bronze(tmp_path: Path) -> None:
    frozen(tmp_path, movement(1, event_id="then"))
    strict = {"out_of_orderness": "0s", "allowed_lateness": "0s"}
    changed = {"topics": {TOPIC: TopicSettings.model_validate({"drift": "evolve", **strict})}}
    send(tmp_path, [movement(1, event_id="now")])
    run_layers(tmp_path, **changed)
    settings = load_settings(home=tmp_path)
    assert rows(settings, "silver.quarantine").select("event_id", "reasons").rows() == [("now", ["too_late"])]
    assert "then" in rows(settings, "silver.inventory_updates").filter(_arrival="on_time")["event_id"]
    assert failed(tmp_path) == []


_INTERNAL_NAMES = (
    "row",
    "batch_id",
    "money_rounded",
    "index",
    "partition",
    "offset",
    "reasons",
    "detail",
    "value",
    "event_time_day",
)
_LINE_NAMES = ("line_number", "product_id", "quantity", "unit_price", "discount_amount")


def test_a_new_field_may_have_any_internal_name(tmp_path: Path) -> None:
    names = (*_INTERNAL_NAMES, *_LINE_NAMES, "select", "items_x")
    values = [{**sale(0, "1.5", DAY), **{name: f"its {name}" for name in names}}, sale(1, "2.5", DAY)]
    send(tmp_path, values, topic="pos-transactions")
    run_layers(tmp_path, gold=True)
    first, second = rows(load_settings(home=tmp_path), "silver.pos_transactions").sort("event_id").to_dicts()
    columns = set(names) - {"event_time_day"}
    assert {name: first[name] for name in columns} == {name: f"its {name}" for name in columns}
    assert {second[name] for name in columns} == {None}
    assert "its event_time_day" in first["_extra"]
    lines = rows(load_settings(home=tmp_path), "silver.pos_items").sort("event_id")
    assert lines.select("product_id", "quantity").rows() == [("P1", 1)] * 2
    assert failed(tmp_path) == []
