"""The status of a lakehouse, and its JSON."""

import json
from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.operations.status import status
from tests.pipelines.small_home import TOPIC, movement, run_layers, send


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    """Two events in silver and one more in the log."""
    home = tmp_path / "home"
    send(home, [movement(0), movement(60)])
    run_layers(home)
    send(home, [movement(61)])
    return load_settings(home=home)


def test_a_topic_shows_lag_offsets_and_watermark(settings: Settings) -> None:
    topic = status(settings).topics[TOPIC]
    assert (topic.bronze_rows, topic.batches, topic.lag) == (2, 1, 1)
    assert topic.end_offsets is not None
    assert sum(topic.end_offsets.values()) - sum(topic.next_offsets.values()) == 1
    (partition,) = topic.partitions
    assert topic.watermark == partition.watermark
    assert partition.high is not None and partition.watermark is not None and partition.watermark < partition.high


def test_the_json_has_stable_keys_and_text_for_times(settings: Settings) -> None:
    found = json.loads(json.dumps(status(settings).to_dict()))
    assert list(found) == ["home", "log", "catalog", "topics", "landing", "days_ended_before", "tables"]
    assert found["log"] == {"url": settings.log_url, "error": None}
    assert list(found["topics"]) == list(TOPICS)
    topic = found["topics"][TOPIC]
    names = ["bronze_rows", "batches", "next_offsets", "end_offsets", "lag", "watermark", "partitions"]
    assert list(topic) == names
    assert topic["watermark"].endswith("Z")
    assert list(topic["partitions"][0]) == ["partition", "high", "last_record_at", "is_idle", "watermark"]
    table = found["tables"]["bronze.inventory_updates"]
    assert list(table) == ["rows", "files", "bytes", "snapshots", "committed_at"]
    assert table["rows"] == 2 and table["committed_at"].endswith("+00:00")


def test_an_unreachable_log_is_reported_and_leaves_the_lag_unknown(settings: Settings) -> None:
    assert settings.log_path is not None
    settings.log_path.unlink()
    found = status(settings)
    assert found.log_error is not None and "there is no log at" in found.log_error
    assert (found.topics[TOPIC].lag, found.topics[TOPIC].end_offsets, found.topics[TOPIC].bronze_rows) == (
        None,
        None,
        2,
    )
