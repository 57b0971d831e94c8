"""A replaced, recreated or truncated topic stops alone with an error, and continues after `resume`."""

import shutil
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.bronze.incarnations import STRIDE
from pipelines.config.settings import load_settings
from pipelines.errors import LogIdentityError
from pipelines.lake.catalog import Lake
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import RunReport
from pipelines.operations.resume import Resumed, resume
from pipelines.operations.status import status
from pipelines.operations.verify import verify
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release import release
from tests.pipelines.embedded_admin import apply_retention, delete_topic
from tests.pipelines.small_home import TOPIC, movement, send

pytestmark = pytest.mark.usefixtures("without_settings")
OTHER = "customer-reviews"


def run_silver(home: Path) -> RunReport:
    return run(
        load_settings(home=home),
        ("bronze", "silver"),
        follow=False,
        gold=None,
        clock=lambda: datetime.now(UTC),
        progress=lambda progress: None,
        stop=threading.Event(),
    )


def resumed(home: Path, topic: str = TOPIC) -> Resumed:
    (found,) = resume(load_settings(home=home), [topic], lambda: datetime.now(UTC))
    return found


def rows(home: Path, table: str) -> pl.DataFrame:
    with closing(Lake.open(load_settings(home=home))) as lake:
        return lake.scan(table).collect()


def event_ids(home: Path) -> list[str]:
    return sorted(rows(home, "silver.inventory_updates")["event_id"].to_list())


def failed(home: Path) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify(load_settings(home=home)) if not check.ok]


def movements(*numbers: int) -> list[Any]:
    return [movement(number) for number in numbers]


def log_of(home: Path) -> EmbeddedLog:
    return EmbeddedLog(home / "log.db")


def truncate_topic(home: Path, *, max_bytes: int) -> None:
    apply_retention(home / "log.db", TOPIC, max_bytes=max_bytes, now=datetime.now(UTC))


def recreate_topic(home: Path) -> None:
    delete_topic(home / "log.db", TOPIC)
    with closing(log_of(home)) as log:
        log.ensure_topics([TOPIC])


def test_unread_records_that_retention_removed_stop_the_topic_with_their_exact_number(
    tmp_path: Path,
) -> None:
    send(tmp_path, movements(1, 2, 3))
    run_silver(tmp_path)
    send(tmp_path, movements(4, 5, 6, 7, 8))
    truncate_topic(tmp_path, max_bytes=500)
    with closing(log_of(tmp_path)) as log:
        first = log.topic_state(TOPIC).first_offsets[1]
    lost = first - 3
    assert 0 < lost < 5
    expected = rf"{lost} records are lost.*partition 1: offsets 3 to {first - 1}.*animeverse resume {TOPIC}"
    for _ in range(2):
        with pytest.raises(LogIdentityError, match=expected):
            run_silver(tmp_path)
    assert len(rows(tmp_path, "bronze.inventory_updates")) == 3
    found = resumed(tmp_path)
    assert found.records_lost == lost
    assert found.reads_on == {0: 0, 1: first, 2: 0, 3: 0}
    run_silver(tmp_path)
    assert event_ids(tmp_path) == [f"e{n}" for n in (1, 2, 3, *range(first + 1, 9))]
    assert failed(tmp_path) == []
    gaps = rows(tmp_path, "ops.log_gaps").select("topic", "partition", "offset_from", "offset_to", "records_lost")
    assert gaps.rows() == [(TOPIC, 1, 3, first - 1, lost)]
    assert resumed(tmp_path).gaps == ()


def test_other_topics_continue_when_one_stops(tmp_path: Path) -> None:
    review = {
        "event_id": "r1",
        "event_type": "review",
        "event_time": "2026-03-10T12:00:00Z",
        "review_id": "r1",
        "customer_id": "C1",
        "product_id": "P1",
        "rating": 5,
        "verified_purchase": True,
    }
    send(tmp_path, movements(1))
    run_silver(tmp_path)
    recreate_topic(tmp_path)
    send(tmp_path, [review], topic=OTHER)
    with pytest.raises(LogIdentityError, match=TOPIC) as error:
        run_silver(tmp_path)
    assert OTHER not in str(error.value)
    assert rows(tmp_path, "silver.customer_reviews")["event_id"].to_list() == ["r1"]


@pytest.mark.slow
def test_a_recreated_topic_continues_under_its_own_partition_numbers(tmp_path: Path) -> None:
    send(tmp_path, movements(1, 2))
    run_silver(tmp_path)
    recreate_topic(tmp_path)
    send(tmp_path, [movement(2), movement(3), b"no json", movement(1, quantity=99)])
    with pytest.raises(
        LogIdentityError, match=r"deleted and recreated.*partition 1 up to 1.*partitions from 100000 on"
    ):
        run_silver(tmp_path)
    assert failed(tmp_path) != []
    found = resumed(tmp_path)
    assert found.reads_on == {STRIDE + partition: 0 for partition in range(4)}
    assert {gap.records_lost for gap in found.gaps} == {None}
    run_silver(tmp_path)
    bronze = rows(tmp_path, "bronze.inventory_updates").sort("batch_id", "partition", "offset")
    refs = bronze.select("partition", "offset").rows()
    assert refs == [(1, 0), (1, 1), *((STRIDE + 1, offset) for offset in range(4))]
    assert event_ids(tmp_path) == ["e1", "e2", "e3"]  # the copy of e2 is a duplicate, that of e1 conflicts
    quarantined = rows(tmp_path, "silver.quarantine").select("partition", "offset", pl.col("reasons").list.first())
    assert sorted(quarantined.rows()) == [
        (STRIDE + 1, 2, "invalid_json"),
        (STRIDE + 1, 3, "conflicting_duplicate"),
    ]
    assert failed(tmp_path) == []
    released = release(
        load_settings(home=tmp_path), QuarantineFilter(TOPIC, reasons=frozenset({"invalid_json"})), None, print
    )
    assert released.copies == [((STRIDE + 1, 2), (STRIDE + 1, 4))]
    run_silver(tmp_path)
    assert failed(tmp_path) == []
    shown = status(load_settings(home=tmp_path)).topics[TOPIC]
    assert (shown.lag, shown.next_offsets[STRIDE + 1]) == (0, 5)
    recreate_topic(tmp_path)
    send(tmp_path, movements(4))
    assert resumed(tmp_path).reads_on == {2 * STRIDE + partition: 0 for partition in range(4)}
    run_silver(tmp_path)
    assert event_ids(tmp_path) == ["e1", "e2", "e3", "e4"]
    assert failed(tmp_path) == []


def test_a_restored_log_is_read_on_after_the_last_record_that_both_hold(tmp_path: Path) -> None:
    send(tmp_path, movements(1, 2, 3))
    shutil.copy(tmp_path / "log.db", tmp_path / "backup.db")
    send(tmp_path, movements(4, 5, 6))
    run_silver(tmp_path)
    shutil.move(tmp_path / "backup.db", tmp_path / "log.db")
    with pytest.raises(LogIdentityError, match=r"older copy.*read up to 5, but from 3 on.*No record.*is lost"):
        run_silver(tmp_path)
    send(tmp_path, movements(7))
    found = resumed(tmp_path)
    assert [(gap.cause, gap.offset_from, gap.offset_to, gap.records_lost) for gap in found.gaps] == [
        ("log_restored", 3, 5, 0)
    ]
    run_silver(tmp_path)
    assert event_ids(tmp_path) == [f"e{number}" for number in range(1, 8)]
    assert failed(tmp_path) == []


def test_a_restored_log_that_grew_again_is_detected_by_its_first_offset(tmp_path: Path) -> None:
    send(tmp_path, movements(1, 2, 3))
    shutil.copy(tmp_path / "log.db", tmp_path / "backup.db")
    send(tmp_path, movements(4))
    truncate_topic(tmp_path, max_bytes=600)
    run_silver(tmp_path)
    with closing(log_of(tmp_path)) as log:
        first = log.topic_state(TOPIC).first_offsets[1]
    assert first > 0
    shutil.move(tmp_path / "backup.db", tmp_path / "log.db")
    send(tmp_path, movements(5, 6, 7))  # offset 3 is another record now
    with pytest.raises(LogIdentityError, match="older copy"):
        run_silver(tmp_path)
    assert [(gap.offset_from, gap.offset_to) for gap in resumed(tmp_path).gaps] == [(3, 3)]
    run_silver(tmp_path)
    assert event_ids(tmp_path) == [f"e{number}" for number in range(first + 1, 8)]
    assert failed(tmp_path) == []


def test_another_log_is_refused_and_the_first_one_can_return(tmp_path: Path) -> None:
    send(tmp_path, movements(1, 2))
    run_silver(tmp_path)
    shutil.move(tmp_path / "log.db", tmp_path / "first.db")
    send(tmp_path, movements(3))
    with pytest.raises(LogIdentityError, match="this is a different log"):
        run_silver(tmp_path)
    resumed(tmp_path)
    run_silver(tmp_path)
    assert event_ids(tmp_path) == ["e1", "e2", "e3"]
    shutil.move(tmp_path / "first.db", tmp_path / "log.db")
    send(tmp_path, movements(4))
    found = resumed(tmp_path)
    assert found.reads_on[2 * STRIDE + 1] == 2  # records that bronze already holds are not read again
    run_silver(tmp_path)
    assert event_ids(tmp_path) == ["e1", "e2", "e3", "e4"]
    assert len(rows(tmp_path, "bronze.inventory_updates")) == 4
    assert failed(tmp_path) == []


def test_a_gap_that_a_crash_kept_from_ops_is_recorded_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tmp_path, movements(1))
    run_silver(tmp_path)
    recreate_topic(tmp_path)

    def crash(name: str) -> None:
        raise KeyboardInterrupt(name)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pipelines.operations.resume.fault_point", crash)
        resumed(tmp_path)
    run_silver(tmp_path)
    run_silver(tmp_path)
    assert rows(tmp_path, "ops.log_gaps").select("partition", "cause").rows() == [
        (partition, "topic_made_anew") for partition in range(4)
    ]


@pytest.mark.slow
@pytest.mark.broker
def test_a_recreated_topic_on_a_real_broker_stops_and_is_resumed(
    tmp_path: Path, kafka_url: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: TID251

    monkeypatch.setenv("ANIMEVERSE_LOG_URL", kafka_url)
    monkeypatch.setenv("ANIMEVERSE_TOPIC_PREFIX", topic_prefix)
    send(tmp_path, movements(1, 2, 3))
    run_silver(tmp_path)
    admin, name = AdminClient({"bootstrap.servers": kafka_url.removeprefix("kafka://")}), topic_prefix + TOPIC
    admin.delete_topics([name])[name].result()
    deadline = time.monotonic() + 20
    while name in admin.list_topics(timeout=5).topics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    send(tmp_path, movements(2, 3, 4, 5, 6))
    for _ in range(2):
        with pytest.raises(LogIdentityError, match=rf"deleted and recreated.*animeverse resume {TOPIC}"):
            run_silver(tmp_path)
    assert event_ids(tmp_path) == ["e1", "e2", "e3"]
    found = resumed(tmp_path)
    assert {gap.cause for gap in found.gaps} == {"topic_made_anew"}
    assert found.reads_on == dict.fromkeys(range(STRIDE, STRIDE + 4), 0)
    report = run_silver(tmp_path).topics[TOPIC]
    assert (report.polled, report.duplicates) == (5, 2)
    assert event_ids(tmp_path) == [f"e{n}" for n in range(1, 7)]
    assert failed(tmp_path) == []
    assert resumed(tmp_path).gaps == ()
