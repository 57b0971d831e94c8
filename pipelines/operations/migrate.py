"""`animeverse migrate`: copies a local lakehouse to another store and catalog. `pipelines.lake.copy` copies one table.

The order of the steps allows an interruption at any point:

1. Copy all tables to the target store and compare them row by row. The target catalog does not contain them yet.
2. Create an empty `ops.migrations` in the target catalog. While it is empty, no `run` writes to the target.
3. Register the tables in the target catalog, one by one.
4. Write the report to `ops.migrations`, which completes the migration.

A repeated migration reuses copied files, copies a table again if the source has changed, and refuses a target that
contains other tables. The source is only read, while its locks are held. The log is not copied.
"""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.config.settings import Settings
from pipelines.contracts.tables import TIMESTAMP
from pipelines.errors import CheckFailedError, PermanentError, UsageError
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import MIGRATIONS, Lake, LakeTable, catalog_properties, open_lakehouse
from pipelines.lake.copy import Content, content, has_origin, is_copy_of, publish, stage
from pipelines.lake.open_catalog import open_catalog

MIGRATIONS_SCHEMA = pa.schema(
    [
        pa.field("migrated_at", TIMESTAMP, nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("files", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("source_catalog", pa.string(), nullable=False),
        pa.field("source_snapshot_id", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Migrated:
    """One table with the same rows in source and target. `files` and `bytes` count the target's data files."""

    table: str
    rows: int
    files: int
    bytes: int
    digest: str
    source_snapshot_id: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """The migrated tables. `is_new` is False if an earlier migration had already copied them."""

    tables: tuple[Migrated, ...]
    is_new: bool

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {"is_new": self.is_new, "tables": [asdict(table) for table in self.tables]}


def migrate(
    source: Settings,
    target: Settings,
    clock: Callable[[], datetime],
    *,
    say: Callable[[str], None] = lambda text: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Copy all tables, compare them with the source and register them in the target catalog.

    `say` receives progress messages, `stopped` is asked between files whether to stop. Raises UsageError if source and
    target overlap, PermanentError if the target contains other tables, CheckFailedError if a copy differs, and
    StoreUnavailableError.
    """
    _refuse_same(source, target)
    with (
        home_lock(source.home),
        home_lock(source.home, "release"),
        closing(open_lakehouse(source)) as old,
        closing(Lake.open(target)) as new,
    ):
        tables = {name: old.table(name) for name in old.names() if name != MIGRATIONS}
        if (finished := _finished_report(tables, new)) is not None:
            return finished
        staging_file = source.home / "migrating.db"
        _delete_database(staging_file)  # left by a migration that was killed
        with closing(_open_staging(staging_file, target, new)) as staging:
            copies, migrated = _stage_all(tables, staging, target, say, stopped)
            marker = new.ensure(MIGRATIONS, MIGRATIONS_SCHEMA)
            fault_point("migrate.marked")
            for copied in copies:
                registered = new.find(copied.name)
                if registered is None or not is_copy_of(registered, tables[copied.name]):
                    publish(copied, new)
        rows = [{"migrated_at": clock(), "source_catalog": source.catalog_url, **asdict(table)} for table in migrated]
        marker.append(pa.Table.from_pylist(rows, schema=MIGRATIONS_SCHEMA), {})
        _delete_database(staging_file)
        return Report(tuple(migrated), True)


def _stage_all(
    tables: Mapping[str, LakeTable],
    staging: Lake,
    target: Settings,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> tuple[list[LakeTable], list[Migrated]]:
    """Copy all tables to the target store and register them in the staging catalog."""
    root = target.lake_root if "://" in target.lake_root else f"file://{target.lake_root}"
    copies, migrated = [], []
    for name, table in tables.items():
        copied, copied_content = _copy_table(table, staging, root, stopped)
        totals = copied.totals()
        files, size = totals.get("total-data-files", 0), totals.get("total-files-size", 0)
        copies.append(copied)
        migrated.append(Migrated(name, copied_content.rows, files, size, copied_content.digest, table.snapshot_id))
        say(f"copied {name}: {copied_content.rows:,} rows")
    return copies, migrated


def _refuse_same(source: Settings, target: Settings) -> None:
    if source.catalog_url == target.catalog_url:
        raise UsageError(
            f"the target's catalog is the source's, {source.catalog_url}: set another one with --to-catalog or with "
            "ANIMEVERSE_CATALOG_URL in the file of --to"
        )
    ours, theirs = (Path(s.lake_root) if "://" not in s.lake_root else None for s in (source, target))
    is_same = source.lake_root == target.lake_root
    if ours is not None and theirs is not None:
        one, two = ours.resolve(), theirs.resolve()
        is_same = one == two or one in two.parents or two in one.parents
    if is_same:
        raise UsageError(
            f"the target's files would be among the source's, in {target.lake_root}: set another folder or bucket with "
            "--to-lake-root or with ANIMEVERSE_LAKE_ROOT in the file of --to"
        )


def _finished_report(tables: Mapping[str, LakeTable], new: Lake) -> Report | None:
    """Return the report of a finished migration of these tables, or None if it has to be started or continued.

    Raises PermanentError if the target contains anything else.
    """
    names = new.names()
    if MIGRATIONS not in names:
        if names:
            raise PermanentError(
                f"the catalog {new.properties['uri']} has tables already ({', '.join(names[:3])}, …): expected an "
                "empty one, or one that this migration began to fill. Nothing was changed."
            )
        return None
    marker = new.table(MIGRATIONS)
    others = [name for name in names if name != MIGRATIONS]
    foreign = [name for name in others if name not in tables or not has_origin(new.table(name), tables[name])]
    if marker.snapshot_id is None:
        if foreign:
            raise PermanentError(
                f"a migration of another lakehouse into the catalog {new.properties['uri']} was not finished: "
                f"{foreign[0]} is not from this one. Finish that migration, or empty the catalog. Nothing was changed."
            )
        return None
    if foreign or any(name not in others or not is_copy_of(new.table(name), table) for name, table in tables.items()):
        raise PermanentError(
            f"the catalog {new.properties['uri']} holds a finished migration, and source or target went on since: "
            "another migration would undo the target's changes. Nothing was changed."
        )
    rows = marker.read().drop_columns(["migrated_at", "source_catalog"]).to_pylist()
    return Report(tuple(sorted((Migrated(**row) for row in rows), key=lambda table: table.table)), False)


def _copy_table(source: LakeTable, staging: Lake, root: str, stopped: Callable[[], bool]) -> tuple[LakeTable, Content]:
    """Copy a table and compare it with the source. Raises CheckFailedError if the copy differs.

    The first attempt reuses the files of an interrupted copy; if the result differs, all files are copied again.
    """
    expected = content(source)
    for trust in (True, False):
        if (earlier := staging.find(source.name)) is not None:
            staging.catalog.drop_table(earlier.name)
        copied = stage(source, staging, root, trust=trust, stopped=stopped)
        if content(copied) == expected and copied.totals().get("total-records", 0) == expected.rows:
            return copied, expected
    raise CheckFailedError(
        f"{source.name}: its copy in {root} differs from the source ({expected.rows:,} rows). The target catalog was "
        "not changed. Check that the store returns what is written to it (`animeverse doctor`), and repeat."
    )


def _delete_database(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()


def _open_staging(file: Path, target: Settings, new: Lake) -> Lake:
    """Open a private catalog over the target store. A REST catalog may add properties of the store."""
    properties = {**catalog_properties(target), **new.catalog.properties, "type": "sql", "uri": f"sqlite:///{file}"}
    return Lake(open_catalog("staging", properties), properties)
