"""Reading a topic up to given end offsets."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import LogIdentityError
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.scan import scan

Sent = Callable[..., pa.Table]


@pytest.fixture
def log(tmp_path: Path, sent: Sent) -> Iterator[EmbeddedLog]:
    """Ten records in partition 0, three in partition 1."""
    with closing(EmbeddedLog(tmp_path / "log.db")) as opened:
        opened.append("t", sent([b"%d" % n for n in range(13)], partition=[0] * 10 + [1] * 3))
        yield opened


def read(log: EmbeddedLog, positions: dict[int, int], end_offsets: dict[int, int], chunk: int) -> list[tuple[int, int]]:
    tables = list(scan(log, "t", positions, end_offsets, chunk))
    return sorted(
        pair for table in tables for pair in zip(*(table[c].to_pylist() for c in ("partition", "offset")), strict=True)
    )


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_exactly_the_records_between_positions_and_end_offsets_are_read(log: EmbeddedLog, chunk: int) -> None:
    found = read(log, {0: 2, 1: 0}, {0: 7, 1: 3}, chunk)
    assert found == [*((0, offset) for offset in range(2, 7)), (1, 0), (1, 1), (1, 2)]


def test_partitions_without_a_position_or_already_at_their_end_are_not_read(log: EmbeddedLog) -> None:
    assert read(log, {1: 1}, {0: 10, 1: 3}, 100) == [(1, 1), (1, 2)]
    assert read(log, {0: 10, 1: 3}, {0: 10, 1: 2}, 100) == []


def test_a_scan_ends_where_the_log_ends_before_the_end_offsets(log: EmbeddedLog) -> None:
    assert read(log, {1: 0}, {1: 99}, 100) == [(1, 0), (1, 1), (1, 2)]


def test_a_scan_from_an_offset_outside_the_log_raises(log: EmbeddedLog) -> None:
    with pytest.raises(LogIdentityError):
        read(log, {1: 50}, {1: 99}, 100)
