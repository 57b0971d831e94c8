"""The Iceberg catalog and its tables. Only `pipelines/lake` uses PyIceberg."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import assign_fresh_schema_ids
from pyiceberg.transforms import DayTransform

from pipelines.config.settings import Settings
from pipelines.errors import OwnershipError, PermanentError
from pipelines.lake.commits import LAKE_ID, encode, translate_store_errors
from pipelines.lake.open_catalog import open_catalog
from pipelines.lake.pyiceberg_internals import iceberg_schema
from pipelines.lake.reader import FileRange
from pipelines.lake.table import LakeTable

__all__ = ["CATALOG_NAME", "TABLE_PROPERTIES", "FileRange", "Lake", "LakeTable", "catalog_properties", "encode"]

CATALOG_NAME = "animeverse"

# Measured choices. Without retries a commit is a compare-and-swap against the table as it was loaded.
TABLE_PROPERTIES: Mapping[str, str] = {
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
}


class Lake:
    """An open catalog. Every call loads the table again, so every caller has its own compare-and-swap base."""

    def __init__(
        self, catalog: Catalog, properties: Mapping[str, str], on_close: Callable[[], None] = lambda: None
    ) -> None:
        self.catalog = catalog
        self.properties = properties
        self.lake_id: str | None = None  # set when the lake is opened for writing: new tables get it (R51)
        self._on_close = on_close
        self._creating = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "Lake":
        """Connect to the catalog in the settings. Creates no tables. Raises StoreUnavailableError."""
        properties = catalog_properties(settings)
        with translate_store_errors(f"opening the catalog {properties['uri']}"):
            if properties["type"] == "sql":
                Path(properties["uri"].removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            return cls(open_catalog(CATALOG_NAME, properties), properties)

    def close(self) -> None:
        """Close the catalog's connections."""
        engine = getattr(self.catalog, "engine", None)
        if engine is not None:
            engine.dispose()
        self._on_close()

    def names(self) -> list[str]:
        """Full names of all tables, sorted."""
        with translate_store_errors("listing tables"):
            names: list[str] = []
            for namespace in self.catalog.list_namespaces():
                with contextlib.suppress(NoSuchNamespaceError):
                    names += [".".join(identifier) for identifier in self.catalog.list_tables(namespace)]
            return sorted(names)

    def find(self, name: str) -> LakeTable | None:
        """Load the table; None if it does not exist."""
        with translate_store_errors(f"loading table {name}"):
            try:
                return LakeTable(self.catalog, name, self.catalog.load_table(name))
            except NoSuchTableError:
                return None

    def table(self, name: str) -> LakeTable:
        """Load the table. Raises PermanentError if it does not exist."""
        table = self.find(name)
        if table is None:
            raise PermanentError(f"table {name} does not exist in the catalog {self.properties['uri']}")
        return table

    def ensure(
        self,
        name: str,
        schema: pa.Schema,
        *,
        day_of: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> LakeTable:
        """Load the table unchanged, or create it, partitioned by the day of the column `day_of`."""
        table = self.find(name)
        if table is not None:
            self._refuse_foreign(table)
            return table
        with self._creating, translate_store_errors(f"creating table {name}"):
            with contextlib.suppress(NamespaceAlreadyExistsError):
                self.catalog.create_namespace(name.split(".")[0])
            with contextlib.suppress(TableAlreadyExistsError):
                spec = PartitionSpec()
                iceberg = assign_fresh_schema_ids(iceberg_schema(self.catalog, schema))
                if day_of is not None:
                    source = iceberg.find_field(day_of).field_id
                    spec = PartitionSpec(PartitionField(source, 1000, DayTransform(), f"{day_of}_day"))
                own = {} if self.lake_id is None else {LAKE_ID: self.lake_id}
                self.catalog.create_table(
                    name, iceberg, partition_spec=spec, properties={**TABLE_PROPERTIES, **own, **(properties or {})}
                )
        return self.table(name)

    def register(self, name: str, metadata_location: str) -> None:
        """Name an existing table in the catalog. A table that it knows stays as it is."""
        with translate_store_errors(f"registering table {name}"):
            with contextlib.suppress(NamespaceAlreadyExistsError):
                self.catalog.create_namespace(name.split(".")[0])
            with contextlib.suppress(TableAlreadyExistsError):
                self.catalog.register_table(name, metadata_location)

    def _refuse_foreign(self, table: LakeTable) -> None:
        if self.lake_id is not None and table.lake_id not in (None, self.lake_id):
            raise OwnershipError(
                f"{table.name} belongs to the lake {table.lake_id}, and this is the lake {self.lake_id}. Nothing was "
                "changed. Restore the table from a backup of this lake, or drop it from the catalog."
            )

    def scan(self, name: str) -> pl.LazyFrame:
        """The table's current rows as a Polars LazyFrame."""
        return self.table(name).scan()


def catalog_properties(settings: Settings) -> dict[str, str]:
    """Properties with which `pyiceberg.catalog.load_catalog` opens the same catalog (R47), secrets included."""
    root = settings.lake_root
    # The path is not percent-encoded, because PyIceberg does not decode it.
    warehouse = root if "://" in root else f"file://{Path(root).absolute()}"
    properties = {"type": settings.catalog_kind, "uri": settings.catalog_url, "warehouse": warehouse}
    return properties | settings.s3 | settings.catalog


MIGRATIONS = "ops.migrations"


def refuse_unfinished(lake: Lake) -> None:
    """Raise PermanentError if a migration into this catalog has started and has not finished."""
    marker = lake.find(MIGRATIONS)
    if marker is not None and marker.snapshot_id is None:
        raise PermanentError(
            f"a migration into the catalog {lake.properties['uri']} has not finished: some tables are "
            "missing. Repeat the same `animeverse migrate`; it continues where it stopped."
        )
