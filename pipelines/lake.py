"""Iceberg tables: the only home of PyIceberg. Every commit names what it covers and is a compare-and-swap.

A table is loaded once; its commits go against what was loaded. When another writer committed meanwhile the commit is
refused (CommitConflictError) and nothing is written. When the answer to a commit is lost, the table is loaded anew and
its newest snapshot asked whether it is ours: so an append happens exactly once or raises.
"""

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import assign_fresh_schema_ids
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import DayTransform
from pyiceberg.types import StringType

from pipelines.errors import CommitConflictError, PermanentError, StoreUnavailableError
from pipelines.faults import fault_point

if TYPE_CHECKING:
    from pipelines.settings import Settings

CATALOG_NAME = "animeverse"
STAMP = "animeverse."  # what we write into snapshot summaries and table properties begins with it
_COMMIT = STAMP + "commit"

# Source of the figures: measured, see docs/performance.md. Retries off: only so is a commit a compare-and-swap.
TABLE_PROPERTIES: Mapping[str, str] = {
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
    "write.parquet.compression-codec": "zstd",
}

_IN_LIMIT = 200  # PyIceberg prunes by In() up to so many values

# Its expressions take a column's name first, which their pydantic signatures do not show to a type checker.
_at_least: Any = GreaterThanOrEqual
_at_most: Any = LessThanOrEqual
_equal: Any = EqualTo
_among: Any = In


def _machinery_errors() -> tuple[type[BaseException], ...]:
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return (OSError, RESTError, RequestException, SQLAlchemyError)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of disk, store and catalog become ours, with what was being done."""
    try:
        yield
    except _machinery_errors() as error:
        text = str(error).strip().splitlines()
        raise StoreUnavailableError(
            f"{what} failed: {text[0] if text else type(error).__name__}. "
            "Check that the disk has room and is writable, and that the catalog and the object store answer; "
            "then run the command again: it goes on from the last commit."
        ) from error


@dataclass(frozen=True, slots=True)
class FileRange:
    """One data file and the least and greatest value of a column in it (None where the file keeps no bounds)."""

    path: str
    rows: int
    lower: int | None
    upper: int | None


class LakeTable:
    """One Iceberg table as it was when loaded or last committed to from here. Use it from one thread."""

    def __init__(self, lake: "Lake", name: str, table: Table) -> None:
        self._lake = lake
        self.name = name
        self._table = table

    @property
    def iceberg(self) -> Table:
        """The PyIceberg table, for reading."""
        return self._table

    @property
    def snapshot_id(self) -> int | None:
        """The current snapshot's id."""
        return self._table.metadata.current_snapshot_id

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self._table.schema().fields)

    def reload(self) -> None:
        """Load the table's newest state from the catalog."""
        with _told(f"reading table {self.name}"):
            self._table = self._lake.catalog.load_table(self.name)

    def stamp(self) -> Mapping[str, str]:
        """What our newest stamped commit wrote, keys without the prefix; {} where there is none.

        Walks back over snapshots of other writers (a foreign compaction, say), which carry no stamp.
        """
        metadata = self._table.metadata
        by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
        snapshot = by_id.get(metadata.current_snapshot_id or -1)
        while snapshot is not None:
            found = _stamp_of(snapshot)
            if found:
                return found
            snapshot = by_id.get(snapshot.parent_snapshot_id or -1)
        return {}

    def stamps(self) -> list[tuple[int, datetime, Mapping[str, str]]]:
        """(snapshot id, committed at, stamp) of every stamped snapshot retained, oldest first."""
        return [
            (snapshot.snapshot_id, datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC), stamp)
            for snapshot in self._table.metadata.snapshots
            if (stamp := _stamp_of(snapshot))
        ]

    def properties(self) -> Mapping[str, str]:
        """Table properties of ours, keys without the prefix."""
        return {key[len(STAMP) :]: value for key, value in self._table.properties.items() if key.startswith(STAMP)}

    def committed_at(self) -> datetime | None:
        """When the current snapshot was committed."""
        snapshot = self._table.current_snapshot()
        return None if snapshot is None else datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)

    def append(
        self,
        rows: pa.Table,
        stamp: Mapping[str, str],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append rows (none is fine: the stamp moves) in one commit; the new snapshot's id.

        New columns and properties of the table are part of the same commit. Raises CommitConflictError when the table
        is no longer the one that was loaded, StoreUnavailableError when the store or the catalog fails; then nothing
        was committed.
        """
        return self.append_parts([(rows, stamp)], new_text_columns=new_text_columns, properties=properties)

    def append_parts(
        self,
        parts: Iterable[tuple[pa.Table, Mapping[str, str]]],
        *,
        new_text_columns: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Append several pieces, each a snapshot with a stamp of its own, all in one commit; the last snapshot's id."""
        commit_id = uuid.uuid4().hex

        def work(table: Table) -> None:
            transaction = table.transaction()
            if new_text_columns:
                with transaction.update_schema() as update:
                    for column in new_text_columns:
                        update.add_column(column, StringType())
            if properties:
                transaction.set_properties({STAMP + key: value for key, value in properties.items()})
            schema = transaction.table_metadata.schema().as_arrow()
            for rows, stamp in parts:
                marked = {STAMP + key: value for key, value in stamp.items()} | {_COMMIT: commit_id}
                transaction.append(_fitted(rows, schema), snapshot_properties=marked)
            fault_point(f"{self.name}.files_written")
            transaction.commit_transaction()

        self._commit(work, commit_id)
        fault_point(f"{self.name}.committed")
        snapshot_id = self.snapshot_id
        assert snapshot_id is not None
        return snapshot_id

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Write table properties of ours in a commit of its own."""

        def work(table: Table) -> None:
            transaction = table.transaction()
            transaction.set_properties({STAMP + key: value for key, value in properties.items()})
            transaction.commit_transaction()

        self._commit(work, None)

    def _commit(self, work: Callable[[Table], None], commit_id: str | None) -> None:
        from requests.exceptions import RequestException

        try:
            with _told(f"writing table {self.name}"):
                try:
                    work(self._table)
                except (CommitStateUnknownException, RequestException):
                    # The answer was lost: the commit may have happened.
                    self._table = self._lake.catalog.load_table(self.name)
                    if commit_id is None or not self._carries(commit_id):
                        raise
        except CommitFailedException as error:
            self.reload()
            raise CommitConflictError(
                f"another writer committed to {self.name} first; nothing of this batch was written to it"
            ) from error
        except StoreUnavailableError:
            with contextlib.suppress(StoreUnavailableError):
                self.reload()
            raise

    def _carries(self, commit_id: str) -> bool:
        return any(
            (snapshot.summary.additional_properties if snapshot.summary else {}).get(_COMMIT) == commit_id
            for snapshot in self._table.metadata.snapshots
        )

    def read(
        self,
        *,
        where: BooleanExpression | None = None,
        columns: Sequence[str] | None = None,
        snapshot_id: int | None = None,
    ) -> pa.Table:
        """Rows as Arrow; no order is promised."""
        if self.snapshot_id is None:
            schema = self._table.schema().as_arrow()
            return schema.empty_table().select(list(columns) if columns else schema.names)
        with _told(f"reading table {self.name}"):
            return self._table.scan(
                row_filter=where if where is not None else AlwaysTrue(),
                selected_fields=tuple(columns) if columns else ("*",),
                snapshot_id=snapshot_id,
            ).to_arrow()

    def read_between(self, column: str, low: Any, high: Any, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows with low <= column <= high; None leaves that side open."""
        parts: list[BooleanExpression] = []
        if low is not None:
            parts.append(_at_least(column, _literal(low)))
        if high is not None:
            parts.append(_at_most(column, _literal(high)))
        where: BooleanExpression = AlwaysTrue() if not parts else parts[0] if len(parts) == 1 else And(*parts)
        return self.read(where=where, columns=columns)

    def read_in(
        self, column: str, values: Sequence[Any], columns: Sequence[str], equal: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose column is one of the values and that equal the rest; files are pruned by their bounds."""
        for start in range(0, len(values), _IN_LIMIT):
            where: BooleanExpression = _among(column, list(values[start : start + _IN_LIMIT]))
            for name, value in (equal or {}).items():
                where = And(_equal(name, value), where)
            yield from self.read(where=where, columns=columns).to_pylist()

    def read_appended(self, after_snapshot_id: int | None) -> pa.Table | None:
        """Rows of append snapshots after the given one (compactions are skipped); None where that snapshot is gone."""
        if after_snapshot_id is None:
            return self.read()
        if after_snapshot_id == self.snapshot_id:
            return self._table.schema().as_arrow().empty_table()
        if self._table.metadata.snapshot_by_id(after_snapshot_id) is None:
            return None
        with _told(f"reading table {self.name}"):
            return self._table.incremental_append_scan(from_snapshot_id_exclusive=after_snapshot_id).to_arrow()

    def read_streamed(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows in pieces, so that memory stays bounded; no order is promised."""
        if self.snapshot_id is None:
            return
        with _told(f"reading table {self.name}"):
            yield from self._table.scan(selected_fields=tuple(columns)).to_arrow_batch_reader()

    def file_paths(self) -> list[str]:
        """Locations of the current data files."""
        if self.snapshot_id is None:
            return []
        with _told(f"planning table {self.name}"):
            return [task.file.file_path for task in self._table.scan().plan_files()]

    def missing_files(self) -> list[str]:
        """Data files that the current snapshot names and the store does not have."""
        return [path for path in self.file_paths() if not self._table.io.new_input(path).exists()]

    def file_ranges(self, column: str) -> list[FileRange]:
        """Data files with the bounds of an integer column, in no order."""
        if self.snapshot_id is None:
            return []
        field = self._table.schema().find_field(column)

        def bound(bounds: Mapping[int, bytes] | None) -> int | None:
            raw = (bounds or {}).get(field.field_id)
            return None if raw is None else int(from_bytes(field.field_type, raw))  # type: ignore[arg-type]

        with _told(f"planning table {self.name}"):
            return [
                FileRange(
                    task.file.file_path,
                    task.file.record_count,
                    bound(task.file.lower_bounds),
                    bound(task.file.upper_bounds),
                )
                for task in self._table.scan().plan_files()
            ]

    def scan(self) -> pl.LazyFrame:
        """The table as a Polars LazyFrame, for queries."""
        if self.snapshot_id is None:
            return pl.LazyFrame(pl.from_arrow(self._table.schema().as_arrow().empty_table()))
        return pl.scan_iceberg(self._table)

    def expire(self, *, keep: int, pinned: Sequence[int] = ()) -> int:
        """Expire all but the newest `keep` snapshots, the pinned ones and what came after the oldest pinned one.

        The current snapshot always stays, and with it the stamp. Deletes no files. Returns how many went.
        """
        metadata = self._table.metadata
        snapshots = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
        first_pinned = min(
            (snapshot.sequence_number or 0 for snapshot in snapshots if snapshot.snapshot_id in set(pinned)),
            default=None,
        )
        old = [
            snapshot.snapshot_id
            for snapshot in snapshots[:-keep]
            if (first_pinned is None or (snapshot.sequence_number or 0) < first_pinned)
            and snapshot.snapshot_id != metadata.current_snapshot_id
        ]
        if old and not any(_stamp_of(snapshot) for snapshot in snapshots[-keep:]):
            return 0  # never the last carrier of a stamp

        def work(table: Table) -> None:
            table.maintenance.expire_snapshots().by_ids(old).commit()

        if old:
            self._commit(work, None)
            self.reload()
        return len(old)

    def totals(self) -> dict[str, int]:
        """Rows, files and bytes as the current snapshot counts them: total-records, total-data-files, …"""
        snapshot = self._table.current_snapshot()
        summary = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
        return {key: int(value) for key, value in summary.items() if key.startswith("total-")}

    @property
    def snapshot_count(self) -> int:
        """Snapshots retained."""
        return len(self._table.metadata.snapshots)


class Lake:
    """An open catalog. Tables are handed out fresh: every holder has its own compare-and-swap base."""

    def __init__(self, catalog: Catalog, properties: Mapping[str, str]) -> None:
        self.catalog = catalog
        self.properties = properties
        self._making = threading.Lock()

    @classmethod
    def open(cls, settings: "Settings") -> "Lake":
        """Connect to the catalog of the settings; makes nothing. Raises StoreUnavailableError."""
        properties = catalog_properties(settings)
        with _told(f"opening the catalog {properties['uri']}"):
            if properties["type"] == "sql":
                Path(properties["uri"].removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            return cls(load_catalog(CATALOG_NAME, **properties), properties)

    def close(self) -> None:
        """Let go of the catalog's connections."""
        engine = getattr(self.catalog, "engine", None)
        if engine is not None:
            engine.dispose()

    def names(self) -> list[str]:
        """Full names of all tables, sorted."""
        with _told("listing tables"):
            found: list[str] = []
            for namespace in self.catalog.list_namespaces():
                with contextlib.suppress(NoSuchNamespaceError):
                    found += [".".join(identifier) for identifier in self.catalog.list_tables(namespace)]
            return sorted(found)

    def find(self, name: str) -> LakeTable | None:
        """The table, freshly loaded, or None where it does not exist."""
        with _told(f"loading table {name}"):
            try:
                return LakeTable(self, name, self.catalog.load_table(name))
            except NoSuchTableError:
                return None

    def table(self, name: str) -> LakeTable:
        """The table, freshly loaded. Raises PermanentError where it does not exist."""
        found = self.find(name)
        if found is None:
            raise PermanentError(f"table {name} does not exist in the catalog {self.properties['uri']}")
        return found

    def ensure(
        self,
        name: str,
        schema: pa.Schema,
        *,
        day_of: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LakeTable:
        """The table, made where it is not there; `day_of` names the column whose day partitions it."""
        found = self.find(name)
        if found is not None:
            return found
        with self._making, _told(f"making table {name}"):
            with contextlib.suppress(NamespaceAlreadyExistsError):
                self.catalog.create_namespace(name.split(".")[0])
            with contextlib.suppress(TableAlreadyExistsError):
                spec = PartitionSpec()
                iceberg = assign_fresh_schema_ids(self.catalog._convert_schema_if_needed(schema))
                if day_of is not None:
                    source = iceberg.find_field(day_of).field_id
                    spec = PartitionSpec(PartitionField(source, 1000, DayTransform(), f"{day_of}_day"))
                self.catalog.create_table(
                    name, iceberg, partition_spec=spec, properties={**TABLE_PROPERTIES, **(properties or {})}
                )
        return self.table(name)

    def scan(self, name: str) -> pl.LazyFrame:
        """The table's current rows as a Polars LazyFrame."""
        return self.table(name).scan()


def catalog_properties(settings: "Settings") -> dict[str, str]:
    """What `pyiceberg.catalog.load_catalog` needs to open the same catalog (R47), secrets included."""
    url = settings.catalog_url
    kind = "sql" if url.startswith("sqlite:") else "rest"
    root = settings.lake_root
    warehouse = root if "://" in root else Path(root).absolute().as_uri()
    properties = {"type": kind, "uri": url, "warehouse": warehouse}
    return properties | settings.s3 | settings.catalog


def _stamp_of(snapshot: Snapshot) -> dict[str, str]:
    summary = snapshot.summary.additional_properties if snapshot.summary else {}
    return {key[len(STAMP) :]: value for key, value in summary.items() if key.startswith(STAMP) and key != _COMMIT}


def _literal(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with exactly the table's columns, types and nullability; columns that are not there are null."""
    columns = []
    for field in schema:
        index = rows.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows.column(index)
        columns.append(column if column.type == field.type else pc.cast(column, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def encode(value: Any) -> str:
    """A stamp's value as compact JSON text."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
