from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import pytest

from pipelines.contracts.registry import TOPICS
from pipelines.log.partitioner import partitions_of
from producers.data_faults import DataFaults
from producers.truth import Truth, truth_of
from producers.world import Batch, World
from tests.producers.conftest import SMALL
from tests.reference.silver import Record, Silver, judge

DIRTY = DataFaults(0.1, 0.1, 0.03, 0.05, 0.03, 0.02, 0.03, 0.03, 0.02)


def _judged(batches: Iterable[Batch]) -> Silver:
    """What the naive reference makes of the records, one after the other."""
    logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for batch in batches:
        partitions = partitions_of(batch.records["key"].combine_chunks(), 4).tolist()
        for partition, record in zip(partitions, batch.records.to_pylist(), strict=True):
            log = logs[batch.topic, partition]
            log.append(Record(batch.topic, 1, partition, len(log), record["timestamp"], record["key"], record["value"]))
    return judge(record for name in sorted(logs) for record in logs[name])


@pytest.mark.parametrize(
    "world",
    [
        World(1, date(2026, 2, 1), 9, 4_000, DIRTY),
        World(2, date(2026, 2, 1), 1, 1_500, DIRTY),
        World(3, date(2026, 2, 1), 40, 600, DIRTY),  # partitions so quiet that what is late by the clock is on time
        SMALL,
    ],
    ids=["dirty", "one day", "quiet", "usual"],
)
def test_truth_equals_a_naive_recount_of_the_records(world: World) -> None:
    batches = list(world.batches())
    truth, silver = truth_of(batches), _judged(batches)
    fates: dict[str, Counter[str]] = {topic: Counter() for topic in TOPICS}
    reasons: dict[str, Counter[str]] = {topic: Counter() for topic in TOPICS}
    net, tickets, seats = Counter[date](), Counter[date](), Counter[date]()
    for verdict in silver.verdicts:
        topic = verdict.record.topic
        if verdict.outcome == "quarantined":
            reasons[topic].update(verdict.reasons)
            continue
        fates[topic][verdict.arrival or "duplicate"] += 1
        row = verdict.row
        if verdict.outcome == "accepted" and topic == "pos-transactions":
            amount = sum(
                line["quantity"] * line["unit_price"] - (line["discount_amount"] or 0) for line in row["items"]
            )
            net[row["event_time"].date()] += amount * (1 if row["event_type"] == "sale" else -1)
        if verdict.outcome == "accepted" and topic == "cinema-sales":
            sign = 1 if row["event_type"] == "booking" else -1
            tickets[row["event_time"].date()] += sign * row["seats_booked"] * row["ticket_price"]
            seats[row["event_time"].date()] += sign * row["seats_booked"]
    for topic in TOPICS:
        told = truth.fates[topic]
        assert {name: told[name] for name in ("on_time", "late", "duplicate")} == {
            name: fates[topic][name] for name in ("on_time", "late", "duplicate")
        }, topic
        assert +truth.reasons[topic] == +reasons[topic], topic
        assert truth.quarantined(topic) == reasons[topic].total(), topic
        assert truth.accepted(topic) == len(silver.accepted(topic))
    assert truth.net_sales() == net
    assert truth.ticket_revenue() == tickets
    assert truth.admissions() == seats


def test_truth_told_in_pieces_is_the_same(batches: list[Batch]) -> None:
    whole, pieces = truth_of(batches), Truth()
    for batch in batches:
        for begin in range(0, batch.records.num_rows, 37):
            pieces.tell(Batch(batch.topic, batch.records.slice(begin, 37), batch.facts.slice(begin, 37)))
    assert pieces.fates == whole.fates and pieces.net_sales() == whole.net_sales()


def test_watching_changes_nothing(batches: list[Batch]) -> None:
    truth = Truth()
    assert list(truth.watch(batches)) == batches
    assert truth.net_sales() == truth_of(batches).net_sales()
    assert all(isinstance(amount, Decimal) for amount in truth.net_sales().values())
