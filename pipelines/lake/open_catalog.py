"""Opening the Iceberg catalog so that one that hangs cannot hang us, and so that a commit does nothing twice."""

import threading
from collections.abc import Mapping

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import TableRequirement, TableUpdate

LOCK_SECONDS = 2  # for another process's transaction, which takes milliseconds; PyIceberg asks three times


class LeanSqlCatalog(SqlCatalog):
    """PyIceberg's SQL catalog, which on a commit reads the metadata file that the committing table came from again.

    Metadata files never change, so where the catalog still names the one that the table has, the table is the answer.
    """

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **properties)
        self._committing = threading.local()

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """As SqlCatalog's."""
        self._committing.table = table
        try:
            return super().commit_table(table, requirements, updates)
        finally:
            self._committing.table = None

    def _convert_orm_to_iceberg(self, orm_table: IcebergTables) -> Table:
        held: Table | None = getattr(self._committing, "table", None)
        if held is not None and held.metadata_location == orm_table.metadata_location:
            return held
        return super()._convert_orm_to_iceberg(orm_table)


def open_catalog(name: str, properties: Mapping[str, str]) -> Catalog:
    """The catalog that `pyiceberg.catalog.load_catalog` would open from the same properties, with limits."""
    if properties.get("type") == "rest" and "py-catalog-impl" not in properties:
        from pipelines.lake.rest_catalog import (
            TimedRestCatalog,  # and requests: a tenth of a second that others need not wait
        )

        return TimedRestCatalog(name, **properties)
    uri = properties.get("uri", "")
    if uri.startswith("sqlite:") and "?" not in uri:
        return LeanSqlCatalog(name, **{**properties, "uri": f"{uri}?timeout={LOCK_SECONDS}"})
    return load_catalog(name, **properties)
