"""The Iceberg catalog and its tables. Only `pipelines/lake` uses PyIceberg."""

import contextlib
import threading
from collections.abc import Mapping
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
from pipelines.errors import NoLakehouseError, PermanentError
from pipelines.lake.commits import encode, translate_store_errors
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

    def __init__(self, catalog: Catalog, properties: Mapping[str, str]) -> None:
        self.catalog = catalog
        self.properties = properties
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
                self.catalog.create_table(
                    name, iceberg, partition_spec=spec, properties={**TABLE_PROPERTIES, **(properties or {})}
                )
        return self.table(name)

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


def open_lakehouse(settings: Settings) -> Lake:
    """Open the catalog for reading. Raises NoLakehouseError if nothing has been written yet."""
    if settings.is_catalog_missing:
        raise NoLakehouseError(f"there is no lakehouse in {settings.home} yet: try `animeverse demo`")
    lake = Lake.open(settings)
    if not any(name.startswith("bronze.") for name in lake.names()):
        lake.close()
        raise NoLakehouseError(f"the catalog {settings.catalog_url} has no bronze tables yet: try `animeverse demo`")
    return lake


MIGRATIONS = "ops.migrations"


def refuse_unfinished(lake: Lake) -> None:
    """Raise PermanentError if a migration into this catalog has started and has not finished."""
    marker = lake.find(MIGRATIONS)
    if marker is not None and marker.snapshot_id is None:
        raise PermanentError(
            f"a migration into the catalog {lake.properties['uri']} has not finished: some tables are "
            "missing. Repeat the same `animeverse migrate`; it continues where it stopped."
        )
