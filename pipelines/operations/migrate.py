"""`animeverse migrate`: a local lakehouse goes on in another store and catalog. How a table is taken: lake_copy.py.

The order makes it safe to end at any line. First all tables are copied and compared, row by row, where the target's
catalog does not know of them. Then `ops.migrations` is made there, empty: as long as it is empty no `run` touches the
target. Then the tables are registered, one by one, and the report becomes the rows of `ops.migrations`: done. Repeated,
it takes files that are there, makes anew what is not a copy of the source as it is now, and refuses a target that has
tables of another origin. The source is only read, and its locks are held. The log is not moved.
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

_SCHEMA = pa.schema(
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
    """One table: the same rows in source and target, said by number and digest. `files` and `bytes` are of the data."""

    table: str
    rows: int
    files: int
    bytes: int
    digest: str
    source_snapshot_id: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """What was migrated; `is_new` is False where all of it had been before."""

    tables: tuple[Migrated, ...]
    is_new: bool

    def to_dict(self) -> dict[str, Any]:
        """For a program."""
        return {"is_new": self.is_new, "tables": [asdict(of) for of in self.tables]}


def migrate(
    source: Settings,
    target: Settings,
    clock: Callable[[], datetime],
    *,
    say: Callable[[str], None] = lambda text: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Copy all tables, prove them equal, register them. Raises UsageError, PermanentError, StoreUnavailableError."""
    _refuse_same(source, target)
    with (
        home_lock(source.home),
        home_lock(source.home, "release"),
        closing(open_lakehouse(source)) as old,
        closing(Lake.open(target)) as new,
    ):
        tables = {name: old.table(name) for name in old.names() if name != MIGRATIONS}
        if (known := _known(tables, new)) is not None:
            return known
        staging_file = _empty(source.home / "migrating.db")
        with closing(_staging(staging_file, target, new)) as staging:
            staged, lines = _stage_all(tables, staging, target, say, stopped)
            marker = new.ensure(MIGRATIONS, _SCHEMA)
            fault_point("migrate.marked")
            for copied in staged:
                there = new.find(copied.name)
                if there is None or not is_copy_of(there, tables[copied.name]):
                    publish(copied, new)
        rows = [{"migrated_at": clock(), "source_catalog": source.catalog_url, **asdict(line)} for line in lines]
        marker.append(pa.Table.from_pylist(rows, schema=_SCHEMA), {})
        _empty(staging_file)
        return Report(tuple(lines), True)


def _stage_all(
    tables: Mapping[str, LakeTable],
    staging: Lake,
    target: Settings,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> tuple[list[LakeTable], list[Migrated]]:
    root = target.lake_root if "://" in target.lake_root else f"file://{target.lake_root}"
    staged, lines = [], []
    for name, table in tables.items():
        copied, same = _copied(table, staging, root, stopped)
        totals = copied.totals()
        files, size = totals.get("total-data-files", 0), totals.get("total-files-size", 0)
        staged.append(copied)
        lines.append(Migrated(name, same.rows, files, size, same.digest, table.snapshot_id))
        say(f"copied {name}: {same.rows:,} rows")
    return staged, lines


def _refuse_same(source: Settings, target: Settings) -> None:
    if source.catalog_url == target.catalog_url:
        raise UsageError(
            f"the target's catalog is the source's, {source.catalog_url}: name another one by --to-catalog or by "
            "ANIMEVERSE_CATALOG_URL in the file of --to"
        )
    ours, theirs = (Path(s.lake_root) if "://" not in s.lake_root else None for s in (source, target))
    is_same = source.lake_root == target.lake_root
    if ours is not None and theirs is not None:
        one, two = ours.resolve(), theirs.resolve()
        is_same = one == two or one in two.parents or two in one.parents
    if is_same:
        raise UsageError(
            f"the target's files would lie among the source's, in {target.lake_root}: name another place by "
            "--to-lake-root or by ANIMEVERSE_LAKE_ROOT in the file of --to"
        )


def _known(tables: Mapping[str, LakeTable], new: Lake) -> Report | None:
    """The report of a finished migration of these very tables; None where it has to be done, or gone on with."""
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
                f"{foreign[0]} is not this one's. Finish that one, or empty the catalog. Nothing was changed."
            )
        return None
    if foreign or any(name not in others or not is_copy_of(new.table(name), table) for name, table in tables.items()):
        raise PermanentError(
            f"the catalog {new.properties['uri']} holds a migration that is finished, and source or target went on "
            "since: migrating again would undo what the target did. Nothing was changed."
        )
    rows = marker.read().drop_columns(["migrated_at", "source_catalog"]).to_pylist()
    return Report(tuple(sorted((Migrated(**row) for row in rows), key=lambda of: of.table)), False)


def _copied(source: LakeTable, staging: Lake, root: str, stopped: Callable[[], bool]) -> tuple[LakeTable, Content]:
    """The copy, proved equal. Files left by an interrupted copy are believed once."""
    expected = content(source)
    for trust in (True, False):
        if (before := staging.find(source.name)) is not None:
            staging.catalog.drop_table(before.name)
        copied = stage(source, staging, root, trust=trust, stopped=stopped)
        if content(copied) == expected and copied.totals().get("total-records", 0) == expected.rows:
            return copied, expected
    raise CheckFailedError(
        f"{source.name}: its copy below {root} does not read as the source does ({expected.rows:,} rows). The target's "
        "catalog was told of nothing. See whether the store keeps what it is given (`animeverse doctor`), and repeat."
    )


def _empty(path: Path) -> Path:
    """The staging catalog's place, empty: what a killed migration left there is of no use."""
    for ending in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").unlink()
    return path


def _staging(file: Path, target: Settings, new: Lake) -> Lake:
    """A catalog of this process alone, over the target's store; a REST catalog may know more of the store than we."""
    properties = {**catalog_properties(target), **new.catalog.properties, "type": "sql", "uri": f"sqlite:///{file}"}
    return Lake(open_catalog("staging", properties), properties)
