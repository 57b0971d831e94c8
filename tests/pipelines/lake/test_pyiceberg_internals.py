"""PyIceberg's internals are used in one module, for one release."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pipelines.lake import pyiceberg_internals
from pipelines.lake.pyiceberg_internals import VERSION, with_path

ROOT = Path(__file__).parents[3]
LAKE = ROOT / "pipelines" / "lake"
HOMES = {LAKE / "pyiceberg_internals.py", LAKE / "rest_catalog.py"}
USED = [
    "pyiceberg.catalog:Catalog._convert_schema_if_needed",
    "pyiceberg.catalog:Catalog._delete_old_metadata",
    "pyiceberg.catalog.rest:RestCatalog._create_session",
    "pyiceberg.catalog.sql:SqlCatalog._convert_orm_to_iceberg",
    "pyiceberg.expressions.visitors:_InclusiveMetricsEvaluator.eval",
    "pyiceberg.io.pyarrow:ArrowScan._record_batches_from_scan_tasks_and_deletes",
    "pyiceberg.io.pyarrow:_to_requested_schema",
    "pyiceberg.table:Transaction._append_snapshot_producer",
    "pyiceberg.table:Transaction.table_metadata",
    "pyiceberg.table.snapshots:MetadataLogEntry",
    "pyiceberg.table.snapshots:Snapshot",
    "pyiceberg.table.snapshots:SnapshotLogEntry",
    "pyiceberg.table.update:update_table_metadata",
    "pyiceberg.table.update.snapshot:_FastAppendFiles",
]


def test_the_installed_pyiceberg_is_the_release_that_the_internals_were_written_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = (found[1] for line in project["dependencies"] if (found := re.match(r"pyiceberg\[.*\]==(.+)", line)))
    assert {version("pyiceberg"), pinned} == {VERSION}, (
        f"PyIceberg {version('pyiceberg')} is installed, pyproject.toml pins {pinned}, and "
        f"pipelines/lake/pyiceberg_internals.py is written for {VERSION}: compare its uses of internals with "
        "the new source, then change VERSION"
    )


@pytest.mark.parametrize("name", USED)
def test_each_internal_exists(name: str) -> None:
    _named(name)


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("pyiceberg.io.pyarrow:ParquetFormatWriter", {"_parquet_writer_kwargs"}),
        ("pyiceberg.table.update.snapshot:_SnapshotProducer", {"_snapshot_id"}),
        ("pyiceberg.table:Transaction", {"_table", "_updates"}),
        ("pyiceberg.typedef:Record", {"_data"}),
    ],
)
def test_each_internal_attribute_of_an_instance_exists(name: str, attributes: set[str]) -> None:
    assert attributes <= set(_named(name).__init__.__code__.co_names)


def _named(name: str) -> Any:
    """The object of `module:qualified.name`."""
    module, _, path = name.partition(":")
    return reduce(getattr, path.split("."), importlib.import_module(module))


def test_metadata_that_is_frozen_is_not_copied() -> None:
    for name in ("Snapshot", "SnapshotLogEntry", "MetadataLogEntry"):
        frozen = getattr(pyiceberg_internals, name)
        assert frozen.model_config["frozen"]
        assert "__deepcopy__" in vars(frozen)


def test_an_entry_with_another_path_leaves_the_first_as_it_was() -> None:
    file = _named("pyiceberg.manifest:DataFile").from_args(file_path="a", record_count=3)
    moved = with_path(file, "b")
    assert (file.file_path, moved.file_path, moved.record_count) == ("a", "b", 3)


def _private_uses(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyiceberg"):
            yield from (f"{path.name}: {name.name}" for name in node.names if name.name.startswith("_"))
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls")):
                yield f"{path.name}:{node.lineno} {node.attr}"


def test_no_other_module_uses_private_names_of_other_objects() -> None:
    assert [use for path in sorted(LAKE.glob("*.py")) if path not in HOMES for use in _private_uses(path)] == []
