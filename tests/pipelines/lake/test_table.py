"""Commits, checkpoints and history of one table, on a real catalog."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config.policies import Retention
from pipelines.errors import CommitConflictError, PermanentError
from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)])


def rows(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64())})


def numbers(table: LakeTable, **options: Any) -> list[int]:
    return sorted(table.read(**options).column("n").to_pylist())


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    return lake.ensure("silver.numbers", SCHEMA)


def test_an_append_without_rows_moves_the_checkpoint(table: LakeTable) -> None:
    table.append(rows(1), {"batch-id": "1"})
    table.append(rows(), {"batch-id": "2"})
    assert (numbers(table), table.checkpoint()) == ([1], {"batch-id": "2"})
    assert [checkpoint for _, _, checkpoint in table.checkpoints()] == [{"batch-id": "1"}, {"batch-id": "2"}]


def test_a_stale_writer_is_refused_and_writes_nothing(lake: Lake, table: LakeTable) -> None:
    stale = lake.table(table.name)
    table.append(rows(1), {})
    with pytest.raises(CommitConflictError, match=r"another writer committed to silver\.numbers first"):
        stale.append(rows(2), {})
    assert numbers(lake.table(table.name)) == [1]
    stale.append(rows(3), {})  # the refusal loaded the new state
    assert numbers(stale) == [1, 3]


def test_several_parts_are_one_commit_with_a_snapshot_each(table: LakeTable) -> None:
    table.append_parts([(rows(1), {"batch-id": "1"}), (rows(2), {"batch-id": "2"})])
    assert (table.snapshot_count, numbers(table)) == (2, [1, 2])
    assert table.checkpoint() == {"batch-id": "2"}


def test_new_columns_and_properties_are_part_of_the_append(table: LakeTable) -> None:
    table.append(rows(1), {}, new_text_columns=["colour"], properties={"policy": "p"})
    assert (table.columns, table.properties()) == (("n", "colour"), {"policy": "p"})


def test_a_commit_of_another_writer_hides_no_checkpoint(lake: Lake, table: LakeTable) -> None:
    written = table.append(rows(1), {"batch-id": "1"})
    table.iceberg.append(rows(2).cast(table.iceberg.schema().as_arrow()))
    table.reload()
    assert table.checkpoint() == {"batch-id": "1"}
    commit = table.checkpoint_commit()
    assert commit is not None and commit[0] == written


def test_a_compaction_carries_the_checkpoint_and_adds_no_rows_for_readers(table: LakeTable) -> None:
    first = table.append(rows(1), {"batch-id": "1"})
    second = table.append(rows(2), {"batch-id": "2"})
    files = [task.file for task in table.tasks()]
    compacted = table.replace_files(files, files)
    assert table.snapshot_id == compacted
    assert table.rows_snapshot_id == second
    assert table.checkpoint() == {"batch-id": "2"}
    commit = table.checkpoint_commit()
    assert commit is not None and commit[0] == second
    appended = table.read_appended(first)
    assert appended is not None and appended.column("n").to_pylist() == [2]


def test_files_are_not_replaced_by_others_with_another_number_of_rows(table: LakeTable) -> None:
    table.append(rows(1, 2), {})
    files = [task.file for task in table.tasks()]
    with pytest.raises(PermanentError, match="2 rows may not be replaced by 0"):
        table.replace_files(files, [])


def test_rows_are_removed_with_their_files_and_the_property_in_one_commit(table: LakeTable) -> None:
    table.append(rows(1), {"batch-id": "1"})
    (path,) = table.file_paths()
    table.append(rows(2), {"batch-id": "2"})
    table.remove_files([path], {"cut": "1"})
    assert (numbers(table), table.properties(), table.checkpoint()) == ([2], {"cut": "1"}, {"batch-id": "2"})
    with pytest.raises(CommitConflictError, match="were replaced by another writer first"):
        table.remove_files([path], {})


def test_rows_after_an_expired_snapshot_cannot_be_read(table: LakeTable) -> None:
    first = table.append(rows(1), {"batch-id": "1"})
    table.append(rows(2), {"batch-id": "2"})
    table.append(rows(3), {"batch-id": "3"})
    assert table.kept_since is None
    expendable = table.expendable(datetime(2100, 1, 1, tzinfo=UTC), Retention(1, 0, 0))
    table.expire(expendable)
    assert expendable[0] == first
    assert table.snapshot_count == 1
    assert table.kept_since is not None
    assert table.read_appended(first) is None
    assert numbers(table) == [1, 2, 3]


def test_a_table_without_commits_is_empty(table: LakeTable) -> None:
    assert (table.snapshot_id, table.rows_snapshot_id, table.committed_at(), table.checkpoint()) == (
        None,
        None,
        None,
        {},
    )
    assert (table.tasks(), table.totals(), table.checkpoint_commit()) == ([], {}, None)
    assert table.scan().collect().shape == (0, 1)
