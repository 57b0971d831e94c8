from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import LogUnavailableError, UsageError
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.interface import OUTGOING
from producers.publish import publish_history
from producers.truth import Truth
from producers.world import World
from tests.producers.fake_clock import stop_after
from tests.producers.log_content import content_of, expected_content

WORLD = World(13, date(2026, 9, 1), 4, 1_500)


@pytest.mark.parametrize("appends", [0, 1, 3, 9])
def test_a_stopped_history_resumes_and_sends_nothing_twice(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appends: int
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 100)
    state = tmp_path / "home" / "produce.json"
    first = publish_history(log, WORLD, state, stop=stop_after(appends))
    assert state.exists()
    second = publish_history(log, WORLD, state)
    assert first + second == sum(map(len, expected_content(WORLD).values()))
    assert content_of(log) == expected_content(WORLD)
    assert not state.exists()


def test_a_history_resumes_after_a_partial_append(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 200)
    state, real, calls = tmp_path / "produce.json", log.append, Counter[str]()

    def append(topic: str, records: pa.Table) -> int:
        calls[topic] += 1
        if calls["pos-transactions"] == 4:  # only a part arrives, as if the broker had stopped
            real(topic, records.slice(0, len(records) // 2))
            raise LogUnavailableError("gone")
        return real(topic, records)

    monkeypatch.setattr(log, "append", append)
    with pytest.raises(LogUnavailableError):
        publish_history(log, WORLD, state)
    monkeypatch.setattr(log, "append", real)
    truth = Truth()
    publish_history(log, WORLD, state, watch=truth.watch)
    assert content_of(log) == expected_content(WORLD)
    assert sum(map(Counter.total, truth.outcomes.values())) == sum(map(len, expected_content(WORLD).values()))


def test_a_complete_run_whose_state_file_remains_sends_nothing(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, stop=lambda: True)
    state_text = state.read_text()
    publish_history(log, WORLD, state)
    state.write_text(state_text)
    assert publish_history(log, WORLD, state) == 0
    assert not state.exists()


def test_a_complete_history_can_be_sent_again(log: EmbeddedLog, tmp_path: Path) -> None:
    first = publish_history(log, WORLD, tmp_path / "produce.json")
    assert publish_history(log, WORLD, tmp_path / "produce.json") == first


def test_another_world_does_not_resume_this_one(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, count=None, stop=stop_after(0))
    other = World(14, date(2026, 9, 1), 2, 300)
    publish_history(log, other, state)
    assert content_of(log) == expected_content(other)


def _write_as_another_process(log: EmbeddedLog) -> None:
    row = {"partition": None, "timestamp": None, "key": b"k", "headers": None, "value": b"{}"}
    log.append("pos-transactions", pa.Table.from_pylist([row], OUTGOING))


def test_a_run_does_not_resume_after_another_process_wrote_to_the_topic(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 300)
    publish_history(log, WORLD, tmp_path / "produce.json", stop=stop_after(3))
    _write_as_another_process(log)
    with pytest.raises(UsageError, match="another process has written"):
        publish_history(log, WORLD, tmp_path / "produce.json")


def test_a_run_detects_records_another_process_wrote_after_its_last(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, stop=lambda: True)
    state_text = state.read_text()
    publish_history(log, WORLD, state)
    _write_as_another_process(log)
    state.write_text(state_text)
    with pytest.raises(UsageError, match="another process has written"):
        publish_history(log, WORLD, state)
