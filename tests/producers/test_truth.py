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

FAULTS = DataFaults(0.1, 0.1, 0.03, 0.05, 0.03, 0.02, 0.03, 0.03, 0.02)


def _judged(batches: Iterable[Batch]) -> Silver:
    """Return the reference's verdicts on these records."""
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
        World(1, date(2026, 2, 1), 9, 4_000, FAULTS),
        World(2, date(2026, 2, 1), 1, 1_500, FAULTS),
        World(3, date(2026, 2, 1), 40, 600, FAULTS),  # sparse partitions: an event late by the clock is on time
        SMALL,
    ],
    ids=["faulty", "one day", "sparse", "default"],
)
def test_truth_equals_the_reference_verdicts(world: World) -> None:
    batches = list(world.batches())
    truth, silver = truth_of(batches), _judged(batches)
    outcomes: dict[str, Counter[str]] = {topic: Counter() for topic in TOPICS}
    reasons: dict[str, Counter[str]] = {topic: Counter() for topic in TOPICS}
    net, tickets, seats = Counter[date](), Counter[date](), Counter[date]()
    for verdict in silver.verdicts:
        topic = verdict.record.topic
        if verdict.outcome == "quarantined":
            reasons[topic].update(verdict.reasons)
            continue
        outcomes[topic][verdict.arrival or "duplicate"] += 1
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
        actual = truth.outcomes[topic]
        assert {name: actual[name] for name in ("on_time", "late", "duplicate")} == {
            name: outcomes[topic][name] for name in ("on_time", "late", "duplicate")
        }, topic
        assert +truth.reasons[topic] == +reasons[topic], topic
        assert truth.quarantined(topic) == reasons[topic].total(), topic
        assert truth.accepted(topic) == len(silver.accepted(topic))
    assert truth.net_sales() == net
    assert truth.ticket_revenue() == tickets
    assert truth.admissions() == seats


def test_truth_does_not_depend_on_batch_sizes(batches: list[Batch]) -> None:
    whole, pieces = truth_of(batches), Truth()
    for batch in batches:
        for begin in range(0, batch.records.num_rows, 37):
            pieces.add(Batch(batch.topic, batch.records.slice(begin, 37), batch.facts.slice(begin, 37)))
    assert pieces.outcomes == whole.outcomes and pieces.net_sales() == whole.net_sales()


def test_watch_passes_batches_on_unchanged(batches: list[Batch]) -> None:
    truth = Truth()
    assert list(truth.watch(batches)) == batches
    assert truth.net_sales() == truth_of(batches).net_sales()
    assert all(isinstance(amount, Decimal) for amount in truth.net_sales().values())
