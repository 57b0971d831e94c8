import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.log.interface import OUTGOING
from producers.data_faults import DataFaults
from producers.places import places
from producers.seasons import is_holiday
from producers.world import Batch, World
from tests.producers.conftest import SMALL, Events
from tests.reference.contract import Policy, check


def _digest(world: World) -> str:
    digest = hashlib.sha256()
    for batch in world.batches():
        digest.update(batch.topic.encode())
        for name in ("timestamp", "key", "value"):
            digest.update(repr(batch.records[name].to_pylist()).encode())
    return digest.hexdigest()


def test_the_same_parameters_give_the_same_bytes_in_another_process_with_another_hash_seed() -> None:
    world = World(5, date(2026, 3, 1), 3, 2_000)
    code = (
        "from datetime import date; from tests.producers.test_world import _digest; "
        "from producers.world import World; print(_digest(World(5, date(2026, 3, 1), 3, 2_000)))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "99", "TZ": "Asia/Tokyo", "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == _digest(world)


def test_event_ids_of_a_seed_do_not_change_between_versions() -> None:
    """Event ids contain the name: another name turns a repeated history into new events."""
    assert World(5, date(2026, 3, 1), 3, 2_000).name == "6e48b755"
    assert World(11, date(2026, 9, 1), 21, 15_000, DataFaults.none()).name == "25913035"


def test_another_seed_gives_other_events_and_other_ids() -> None:
    def ids(seed: int) -> set[str]:
        values = [value for batch in World(seed, date(2026, 3, 1), 2, 500, DataFaults.none()).batches()
                  for value in batch.records["value"].to_pylist()]  # fmt: skip
        return {json.loads(value)["event_id"] for value in values}

    assert not ids(1) & ids(2)


def test_records_leave_in_order_of_arrival_inside_the_history(batches: list[Batch]) -> None:
    last: dict[str, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    for batch in batches:
        assert batch.records.schema == OUTGOING
        moments = batch.records["timestamp"].to_pylist()
        assert moments == sorted(moments) and moments[0] >= last[batch.topic]
        last[batch.topic] = moments[-1]
        assert len(batch.facts) == len(moments)
    begin = datetime.combine(SMALL.start, datetime.min.time(), UTC)
    assert begin <= min(batch.records["timestamp"][0].as_py() for batch in batches)
    assert max(last.values()) < begin + timedelta(days=SMALL.days)


@pytest.mark.parametrize(("days", "events"), [(1, 400), (14, 12_000), (3, 100), (400, 900)])
def test_a_world_has_the_requested_number_of_records(days: int, events: int) -> None:
    found = sum(batch.records.num_rows for batch in World(3, date(2026, 1, 1), days, events).batches())
    assert abs(found - events) <= max(8, events // 200)


def test_every_topic_has_its_share(batches: list[Batch]) -> None:
    rows = Counter[str]()
    for batch in batches:
        rows[batch.topic] += batch.records.num_rows
    total = rows.total()
    assert set(rows) == set(TOPICS)
    assert 0.40 < rows["pos-transactions"] / total < 0.55
    assert 0.22 < rows["cinema-sales"] / total < 0.28
    assert 0.10 < rows["inventory-updates"] / total < 0.14
    assert 0.06 < rows["customer-profiles"] / total < 0.10


def test_events_without_faults_satisfy_their_contract_and_have_their_key() -> None:
    for batch in World(2, date(2026, 12, 20), 5, 3_000, DataFaults.none()).batches():
        key_field = CONTRACTS[batch.topic].key_field
        keys, values = batch.records["key"].to_pylist(), batch.records["value"].to_pylist()
        for key, value in zip(keys, values, strict=True):
            checked = check(batch.topic, value, Policy())
            assert not checked.reasons and not checked.extras, (batch.topic, checked.reasons, value)
            assert json.loads(value)[key_field].encode() == key


def test_event_ids_are_unique_within_a_topic(clean: Events) -> None:
    for topic, events in clean.items():
        ids = [event["event_id"] for event in events]
        assert len(set(ids)) == len(ids), topic


def test_no_screening_sells_more_seats_than_its_hall_has(clean: Events) -> None:
    seats = dict(zip(places().theater_ids, places().theater_seats, strict=True))
    sold = Counter[str]()
    for event in clean["cinema-sales"]:
        sign = 1 if event["event_type"] == "booking" else -1
        sold[event["screening_id"]] += sign * event["seats_booked"]
        assert 0 <= sold[event["screening_id"]] <= seats[event["theater_id"]]
    assert max(sold.values()) > 10


def test_a_small_cinema_is_not_oversold_under_high_load() -> None:
    seats = dict(zip(places().theater_ids, places().theater_seats, strict=True))
    sold, halls = Counter[str](), {}
    for batch in World(4, date(2026, 9, 1), 1, 60_000, DataFaults.none()).batches():
        if batch.topic == "cinema-sales":
            for event in map(json.loads, batch.records["value"].to_pylist()):
                sold[event["screening_id"]] += event["seats_booked"] * (1 if event["event_type"] == "booking" else -1)
                halls[event["screening_id"]] = event["theater_id"]
    assert sold and all(count <= seats[halls[screening]] for screening, count in sold.items())


def test_friday_and_the_weekend_fill_the_halls_more_than_other_days(clean: Events) -> None:
    seats: Counter[int] = Counter()
    for event in clean["cinema-sales"]:
        sign = 1 if event["event_type"] == "booking" else -1
        day = datetime.fromisoformat(event["screening_time"]).date()
        if date(2026, 9, 2) <= day < date(2026, 9, 16):  # the whole weeks of the history
            seats[day.weekday()] += sign * event["seats_booked"]
    assert min(seats[4], seats[5], seats[6]) > max(seats[0], seats[2], seats[3])


def test_seats_are_booked_before_the_screening_and_cancelled_once_with_the_same_fields(clean: Events) -> None:
    booked: dict[str, dict[str, object]] = {}
    cancelled = 0
    for event in clean["cinema-sales"]:
        assert event["event_time"] < event["screening_time"]
        if event["event_type"] == "booking":
            booked[event["booking_id"]] = event
        else:
            cancelled += 1
            first = booked.pop(event["booking_id"])
            kept = event.keys() - {"event_id", "event_type", "event_time"}
            assert {name: event[name] for name in kept} == {name: first[name] for name in kept}
    assert cancelled > 30


def test_stock_is_never_negative(clean: Events) -> None:
    moves: list[tuple[str, str, str | None, int]] = []
    signs = {"delivery": 1, "transfer_in": 1, "adjustment": 1, "transfer_out": -1, "shrinkage": -1}
    for event in clean["inventory-updates"]:
        quantity = signs[event["event_type"]] * event["quantity"]
        moves.append((event["event_time"], event["product_id"], event["warehouse_id"], quantity))
    for event in clean["pos-transactions"]:
        sign = -1 if event["event_type"] == "sale" else 1
        moves += [(event["event_time"], line["product_id"], None, sign * line["quantity"]) for line in event["items"]]
    on_hand, held = Counter[str](), Counter[tuple[str, str]]()
    for _, product, warehouse, quantity in sorted(moves, key=lambda move: move[0]):
        on_hand[product] += quantity
        assert on_hand[product] >= 0, product
        if warehouse:
            held[product, warehouse] += quantity
            assert held[product, warehouse] >= 0
    assert sum(event["event_type"] == "delivery" for event in clean["inventory-updates"][200:]) > 20


def test_a_return_refers_to_an_earlier_sale_of_the_same_line(clean: Events) -> None:
    sales: dict[str, dict[str, Any]] = {}
    returns = 0
    for event in clean["pos-transactions"]:
        if event["event_type"] == "sale":
            assert "original_transaction_id" not in event
            sales[event["transaction_id"]] = event
            continue
        returns += 1
        sale = sales[event["original_transaction_id"]]
        (line,) = event["items"]
        assert {**line, "line_number": 0} in [{**sold, "line_number": 0} for sold in sale["items"]]
        assert (event.get("customer_id"), event.get("store_id")) == (sale.get("customer_id"), sale.get("store_id"))
    assert returns > 100


def test_a_verified_review_comes_after_the_purchase(clean: Events) -> None:
    first: dict[tuple[str | None, str], str] = {}
    for event in clean["pos-transactions"]:
        for line in event["items"]:
            first.setdefault((event.get("customer_id"), line["product_id"]), event["event_time"])
    for event in clean["cinema-sales"]:
        first.setdefault((event.get("customer_id"), event["title_id"]), event["event_time"])
    verified = [event for event in clean["customer-reviews"] if event["verified_purchase"]]
    assert len(verified) > 300
    for event in verified:
        subject = event.get("product_id") or event["title_id"]
        assert first[event["customer_id"], subject] < event["event_time"]


def test_customers_and_products_exist_before_they_are_referenced(clean: Events) -> None:
    known = {
        event[field]
        for topic, field in (("customer-profiles", "customer_id"), ("product-catalog", "product_id"))
        for event in clean[topic]
    }
    first_sale = clean["pos-transactions"][0]["event_time"]
    loaded = [event for event in clean["customer-profiles"] if event["event_time"] < first_sale]
    assert len(loaded) > 300
    sold = {line["product_id"] for event in clean["pos-transactions"] for line in event["items"]}
    buyers = {event["customer_id"] for event in clean["pos-transactions"] if "customer_id" in event}
    assert sold | buyers <= known


def test_stores_sell_while_they_are_open() -> None:
    for start in (date(2026, 9, 1), date(2026, 12, 22)):
        for batch in World(1, start, 7, 2_000, DataFaults.none()).batches():
            if batch.topic != "pos-transactions":
                continue
            for event in map(json.loads, batch.records["value"].to_pylist()):
                if event["channel"] == "store":
                    local = datetime.fromisoformat(event["event_time"]) + timedelta(hours=1)
                    opens, closes = (12, 18) if local.weekday() == 6 else (10, 20)
                    assert opens <= local.hour < closes and not is_holiday(local.date()), event["event_time"]


def test_tiers_follow_spend(clean: Events) -> None:
    spent = Counter[str]()
    for event in clean["pos-transactions"]:
        sign = 1 if event["event_type"] == "sale" else -1
        for line in event["items"]:
            spent[event.get("customer_id", "")] += round(sign * line["quantity"] * line["unit_price"])
    tier = {event["customer_id"]: event.get("loyalty_tier") for event in clean["customer-profiles"]}
    mean = {
        name: sum(spent[customer] for customer, held in tier.items() if held == name) / list(tier.values()).count(name)
        for name in ("none", "bronze", "silver")
    }
    assert mean["none"] < mean["bronze"] < mean["silver"]
    history = defaultdict(list)
    for event in clean["customer-profiles"]:
        history[event["customer_id"]].append(event.get("loyalty_tier"))
    assert sum(len(set(tiers)) > 1 for tiers in history.values()) > 20


def test_master_data_of_every_kind_changes() -> None:
    seen: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    changed = Counter[str]()
    for batch in World(8, date(2026, 5, 1), 60, 60_000, DataFaults.none()).batches():
        contract = CONTRACTS[batch.topic]
        if contract.is_master:
            for event in map(json.loads, batch.records["value"].to_pylist()):
                before = seen[batch.topic].get(event[contract.key_field], {})
                changed.update(name for name in event if before.get(name, event[name]) != event[name])
                changed[event["event_type"] + " " + batch.topic] += 1
                seen[batch.topic][event[contract.key_field]] = event
    for name in ("city", "loyalty_tier", "list_price", "unit_cost", "status", "release_date", "run_end"):
        assert changed[name] > 0, name
    for topic in ("customer-profiles", "product-catalog"):
        assert changed[f"delete {topic}"] > 0


def test_baskets_have_affinities(clean: Events) -> None:
    baskets = [{line["product_id"] for line in event["items"]} for event in clean["pos-transactions"]]
    bought = Counter(product for basket in baskets for product in basket)
    pairs = Counter(tuple(sorted((a, b))) for basket in baskets for a in basket for b in basket if a < b)
    (first, second), together = pairs.most_common(1)[0]
    assert together * len(baskets) / (bought[first] * bought[second]) > 2


def _peak_megabytes(days: int, events: int) -> float:
    code = (
        "import resource; from datetime import date; from producers.world import World\n"
        f"for batch in World(6, date(2026, 1, 1), {days}, {events}).batches(): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_history() -> None:
    assert _peak_megabytes(100, 300_000) - _peak_megabytes(10, 30_000) < 60  # the longer history has 120 MB


def test_a_world_without_days_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        World(1, date(2026, 1, 1), 0, 10)
