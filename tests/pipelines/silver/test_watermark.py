from pipelines.silver.watermark import DAY, PartitionState, ended_before, partition_watermarks, topic_watermark

MINUTE = 60_000_000


def watermark(*pairs: tuple[int | None, int | None], idle: int = 5 * MINUTE) -> int | None:
    states = {partition: PartitionState(*pair) for partition, pair in enumerate(pairs)}
    return topic_watermark(states, out_of_orderness=10 * MINUTE, idle_timeout=idle)


def test_the_watermark_is_the_least_high_minus_out_of_orderness() -> None:
    assert watermark((100 * MINUTE, 100 * MINUTE), (90 * MINUTE, 100 * MINUTE)) == 80 * MINUTE


def test_a_partition_is_idle_one_microsecond_after_the_timeout() -> None:
    assert watermark((100 * MINUTE, 100 * MINUTE), (50 * MINUTE, 95 * MINUTE)) == 40 * MINUTE
    assert watermark((100 * MINUTE, 100 * MINUTE), (50 * MINUTE, 95 * MINUTE - 1)) == 90 * MINUTE


def test_partitions_without_a_high_are_ignored() -> None:
    assert watermark((None, None), (100 * MINUTE, 100 * MINUTE)) == 90 * MINUTE
    assert watermark((None, 500 * MINUTE), (100 * MINUTE, 100 * MINUTE)) == 90 * MINUTE
    assert watermark((None, None)) is None
    assert watermark() is None


def test_the_watermark_decreases_when_an_idle_partition_sends_old_events() -> None:
    asleep = watermark((100 * MINUTE, 100 * MINUTE), (10 * MINUTE, 10 * MINUTE))
    awake = watermark((100 * MINUTE, 100 * MINUTE), (11 * MINUTE, 100 * MINUTE))
    assert asleep == 90 * MINUTE
    assert awake == MINUTE


def test_each_partition_has_a_watermark_of_its_own() -> None:
    states = {1: PartitionState(None, 5), 0: PartitionState(7, 5)}
    found = partition_watermarks(states, out_of_orderness=2, idle_timeout=1)
    assert [(one.partition, one.watermark, one.is_idle) for one in found] == [(0, 5, False), (1, None, False)]


def test_days_end_at_the_midnight_before_the_least_watermark() -> None:
    assert ended_before([3 * DAY, 2 * DAY + 5]) == 2 * DAY
    assert ended_before([3 * DAY, None]) is None
    assert ended_before([]) is None
