from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.bronze.incarnations import Incarnation
from pipelines.bronze.position import Position
from pipelines.bronze.table import ensure_bronze
from pipelines.config.settings import load_settings
from pipelines.contracts.tables import BRONZE
from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable


@pytest.fixture
def bronze(tmp_path: Path, without_settings: None) -> Iterator[LakeTable]:
    with closing(Lake.open(load_settings(home=tmp_path))) as lake:
        yield ensure_bronze(lake, "inventory-updates")


def test_an_empty_table_has_the_position_of_the_beginning(bronze: LakeTable) -> None:
    assert Position.of(bronze) == Position(0, {}, None, None)


@pytest.mark.parametrize(
    "position",
    [
        Position(1, {0: 5, -1: 2}, "log", "topic"),
        Position(
            9,
            {0: 5, 100_001: 3},
            "log",
            "topic-2",
            landed=({"file": "a.csv", "sha256": "f", "rows": 1},),
            first_offsets={0: 2},
            incarnations=(Incarnation(0, "log", "topic", {}), Incarnation(1, "log", "topic-2", {1: 7})),
            gaps=({"partition": 0, "cause": "retention"},),
        ),
    ],
)
def test_a_committed_position_is_read_back(bronze: LakeTable, position: Position) -> None:
    bronze.append(BRONZE.empty_table(), position.checkpoint())
    bronze.reload()
    assert Position.of(bronze) == position


def test_a_topic_that_was_never_recreated_has_one_incarnation() -> None:
    position = Position(1, {0: 5}, "log", "topic")
    assert position.all_incarnations == (Incarnation(0, "log", "topic", {}),)
    assert position.newest == 0
