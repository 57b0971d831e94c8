"""The catalog. `lake*.py` are the only home of PyIceberg; whoever needs a table asks here."""

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
from pipelines.lake.reader import FileRange
from pipelines.lake.table import LakeTable

if TYPE_CHECKING:
    from pipelines.config.settings import Settings

__all__ = ["CATALOG_NAME", "TABLE_PROPERTIES", "FileRange", "Lake", "LakeTable", "catalog_properties", "encode"]

CATALOG_NAME = "animeverse"

# Source of the figures: measured, see docs/performance.md. Retries off: only so is a commit a compare-and-swap.
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
    """An open catalog. Tables are handed out fresh: every holder has its own compare-and-swap base."""

    def __init__(self, catalog: Catalog, properties: Mapping[str, str]) -> None:
        self.catalog = catalog
        self.properties = properties
        self._making = threading.Lock()

    @classmethod
    def open(cls, settings: "Settings") -> "Lake":
        """Connect to the catalog of the settings; makes nothing. Raises StoreUnavailableError."""
        properties = catalog_properties(settings)
        with translate_store_errors(f"opening the catalog {properties['uri']}"):
            if properties["type"] == "sql":
                Path(properties["uri"].removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            return cls(open_catalog(CATALOG_NAME, properties), properties)

    def close(self) -> None:
        """Let go of the catalog's connections."""
        engine = getattr(self.catalog, "engine", None)
        if engine is not None:
            engine.dispose()

    def names(self) -> list[str]:
        """Full names of all tables, sorted."""
        with translate_store_errors("listing tables"):
            found: list[str] = []
            for namespace in self.catalog.list_namespaces():
                with contextlib.suppress(NoSuchNamespaceError):
                    found += [".".join(identifier) for identifier in self.catalog.list_tables(namespace)]
            return sorted(found)

    def find(self, name: str) -> LakeTable | None:
        """The table, freshly loaded, or None where it does not exist."""
        with translate_store_errors(f"loading table {name}"):
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
        with self._making, translate_store_errors(f"making table {name}"):
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
    warehouse = root if "://" in root else f"file://{Path(root).absolute()}"  # not escaped: PyIceberg does not unescape
    properties = {"type": kind, "uri": url, "warehouse": warehouse}
    return properties | settings.s3 | settings.catalog


def open_lakehouse(settings: Settings) -> Lake:
    """The catalog, for reading. Raises NoLakehouseError where nothing has been written yet."""
    path = settings.catalog_path
    if path is not None and not path.exists():
        raise NoLakehouseError(f"there is no lakehouse in {settings.home} yet: try `animeverse demo`")
    lake = Lake.open(settings)
    if not any(name.startswith("bronze.") for name in lake.names()):
        lake.close()
        raise NoLakehouseError(f"the catalog {settings.catalog_url} holds no table of ours yet: try `animeverse demo`")
    return lake


MIGRATIONS = "ops.migrations"


def refuse_unfinished(lake: Lake) -> None:
    """Raise PermanentError where a migration into this catalog was begun and has not been finished."""
    marker = lake.find(MIGRATIONS)
    if marker is not None and marker.snapshot_id is None:
        raise PermanentError(
            f"a migration into the catalog {lake.properties['uri']} was not finished: some tables are there and others "
            "are not. Repeat the same `animeverse migrate`; it goes on from where it stopped."
        )
