"""Watermark and lateness test cases of other engines, applied to the reference. Differences from R14-R16 are stated.

Flink: BoundedOutOfOrdernessWatermarksTest, StatusWatermarkValveTest. Beam: LateDataDroppingDoFnRunnerTest. Spark:
EventTimeWatermarkSuite. Flink's watermark W means that no event at or before W will arrive, and is one tick below
high - delay. The product's is inclusive: an event at high - out_of_orderness is on time (R15). Times are in seconds.
"""

from datetime import timedelta

import pytest

from .contract import Policy
from .samples import at, record
from .silver import Record, Silver, judge, watermark

TOPIC = "cinema-sales"
TEN = Policy(out_of_orderness=timedelta(seconds=10), allowed_lateness=timedelta(seconds=20))
NONE = Policy(out_of_orderness=timedelta(0))


class Valve:
    """A topic whose watermarks and idle partitions result from the records written to it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.clock = 0.0

    def give(self, *places: tuple[int, float]) -> "Valve":
        """Write an event with that time to the partition. Records arrive in the order written."""
        for partition, seconds in places:
            offset = len(self.records)
            self.records.append(
                record(TOPIC, offset, seconds, partition=partition, recorded=10**5 + self.clock, batch_id=offset + 1)
            )
        return self

    def rest(self, *awake: tuple[int, float]) -> "Valve":
        """Advance ten minutes and write a record only to these partitions, so all others become idle."""
        self.clock += 600
        return self.give(*awake)

    @property
    def silver(self) -> Silver:
        return judge(self.records, NONE)

    @property
    def mark(self) -> float | None:
        found = watermark(self.silver, TOPIC, NONE)
        return None if found is None else (found - at(0)).total_seconds()


# --- one source with bounded disorder -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((), None),
        ((1337,), 1327),
        ((12345, 12300, 12340, 12280), 12335),
        ((723456,), 723446),
        ((723456, 723456), 723446),
    ],
)
def test_flink_bounded_out_of_orderness_trails_the_greatest_time(
    times: tuple[int, ...], expected: float | None
) -> None:
    log = [record(TOPIC, number, seconds, recorded=10**6) for number, seconds in enumerate(times)]
    found = watermark(judge(log, Policy(out_of_orderness=timedelta(seconds=10))), TOPIC, TEN)
    assert (found and (found - at(0)).total_seconds()) == expected


# --- several inputs -------------------------------------------------------------------------------------------------


def test_flink_one_input_moves_the_watermark_forward() -> None:
    assert (Valve().give((0, 0)).mark, Valve().give((0, 0), (0, 25)).mark) == (0, 25)


def test_flink_a_lower_time_of_the_same_input_does_not_move_it_back() -> None:
    assert Valve().give((0, 25), (0, 18)).mark == 25
    assert Valve().give((0, 25), (0, 18), (0, 42)).mark == 42


def test_flink_waits_for_all_inputs_and_the_product_for_those_with_records() -> None:
    """Difference: partitions without a record do not count (R16)."""
    assert Valve().give((0, 0), (1, 0)).mark == 0
    assert Valve().give((0, 0), (1, 0), (2, 0)).mark == 0


def test_flink_the_watermark_is_the_least_of_all_inputs() -> None:
    valve = Valve().give((0, 0), (1, 0), (2, 0), (0, 12), (2, 8), (2, 10))
    marks = [valve.mark] + [valve.give(place).mark for place in [(1, 15), (2, 17), (0, 20)]]
    assert marks == [0, 10, 12, 15]


def test_flink_lower_times_of_several_inputs_do_not_move_it() -> None:
    assert Valve().give((0, 25), (1, 10), (2, 17), (0, 12), (1, 8), (2, 15)).mark == 10


def test_flink_an_idle_input_does_not_count() -> None:
    valve = Valve().give((2, 5), (0, 15), (1, 10))
    assert valve.mark == 5
    marks = [valve.rest((0, 15), (1, 10)).mark, valve.give((1, 18)).mark, valve.give((0, 20)).mark]
    assert marks == [10, 15, 18]


def test_flink_the_other_inputs_advance_when_inputs_become_idle() -> None:
    valve = Valve().give((0, 25), (1, 10), (2, 17))
    assert [valve.mark, valve.rest((0, 25), (2, 17)).mark, valve.rest((0, 25)).mark] == [10, 17, 25]


def test_flink_all_idle_gives_the_greatest_and_the_product_keeps_the_last_partition_active() -> None:
    """Difference: the partition with the topic's last record is never idle, as only records advance record time."""
    assert Valve().give((0, 10), (1, 5), (2, 3)).mark == 3
    assert Valve().give((0, 10), (1, 5)).rest((2, 3)).mark == 3
    assert Valve().give((1, 5), (2, 3)).rest((0, 10)).mark == 10


def test_flink_ignores_a_resumed_input_that_is_behind_and_the_product_moves_back() -> None:
    """Difference: the watermark is a function of the state alone, so it may move back (R16)."""
    valve = Valve().give((1, 10)).rest((0, 20))
    assert valve.mark == 20
    assert [valve.give((1, 12)).mark, valve.give((1, 30)).mark] == [12, 20]


def test_flink_the_order_in_which_inputs_become_idle_does_not_matter() -> None:
    one = Valve().give((0, 100), (1, 50), (2, 70)).rest((1, 50), (0, 100)).rest((0, 100)).mark
    two = Valve().give((0, 100), (1, 50), (2, 70)).rest((2, 70), (0, 100)).rest((0, 100)).mark
    assert one == two == 100


# --- late data ------------------------------------------------------------------------------------------------------


def arrivals(*times: float, policy: Policy = TEN) -> list[str]:
    log = [record(TOPIC, number, seconds, recorded=10**6) for number, seconds in enumerate(times)]
    return [one.arrival or one.reasons[0] for one in judge(log, policy).verdicts]


def test_beam_drops_only_events_older_than_the_allowed_lateness() -> None:
    """Beam's watermark is 15 and its 10 s windows end at 10 and 20. The product measures from each record's high."""
    policy = Policy(out_of_orderness=timedelta(0), allowed_lateness=timedelta(seconds=5))
    assert arrivals(15, 13, 5, 16, 18, policy=policy) == ["on_time", "late", "too_late", "on_time", "on_time"]


def test_beam_unlimited_lateness_drops_nothing() -> None:
    policy = Policy(out_of_orderness=timedelta(0), allowed_lateness=timedelta(days=10_000))
    assert arrivals(10**6, 0, policy=policy) == ["on_time", "late"]


def test_beam_without_lateness_every_late_event_is_dropped() -> None:
    policy = Policy(out_of_orderness=timedelta(0), allowed_lateness=timedelta(0))
    assert arrivals(10, 10, 9, 11, policy=policy) == ["on_time", "on_time", "too_late", "on_time"]


def test_spark_a_delay_of_10_s_keeps_15_after_25_and_drops_older_events() -> None:
    """Spark drops events below the watermark 15 of the previous batch; the product those below high - lateness."""
    policy = Policy(out_of_orderness=timedelta(seconds=10), allowed_lateness=timedelta(seconds=10))
    assert arrivals(10, 11, 12, 13, 14, 15, 25, 15, 14, policy=policy) == ["on_time"] * 8 + ["too_late"]


def test_spark_moves_the_watermark_between_batches_and_the_product_with_every_record() -> None:
    """Difference: Spark keeps 10 after 25 within a batch. In the product, batches do not change verdicts."""
    log = [(25, 1), (10, 1), (10, 2)]
    one = [record(TOPIC, n, seconds, recorded=10**6, batch_id=batch) for n, (seconds, batch) in enumerate(log)]
    two = [record(TOPIC, n, seconds, recorded=10**6, batch_id=n + 1) for n, (seconds, _) in enumerate(log)]
    fates = [[verdict.arrival for verdict in judge(cut, TEN).verdicts] for cut in (one, two)]
    assert fates == [["on_time", "late", "late"]] * 2


def test_spark_an_empty_batch_does_not_move_the_watermark() -> None:
    log = [record(TOPIC, 0, 25), record(TOPIC, 1, 30, value=b"", batch_id=2)]
    assert watermark(judge(log, TEN), TOPIC, TEN) == at(15)


def test_spark_a_null_event_time_does_not_move_the_watermark() -> None:
    log = [record(TOPIC, 0, 25), record(TOPIC, 1, 25, event_time=None)]
    silver = judge(log, TEN)
    assert (silver.verdicts[1].reasons, watermark(silver, TOPIC, TEN)) == (("missing:event_time",), at(15))
