"""Opening the Iceberg catalog so that one that hangs cannot hang us, and so that a commit does nothing twice."""

import threading
from collections.abc import Mapping
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.io import FileIO
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableRequirement, TableUpdate
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

CONNECT_SECONDS = 3.0
# While a commit's answer is awaited, and then once more to see whether it happened: both are inside 15 s (R48).
ANSWER_SECONDS = 5.0
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


class _Timed(HTTPAdapter):
    """Every request has a limit. A commit whose answer is late is looked for, like one whose answer was lost."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *args, **kwargs)


class TimedRestCatalog(RestCatalog):
    """PyIceberg's REST catalog, where no request waits for ever and the server alone removes old metadata files."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("http://", "https://"):
            # what is mounted already may sign requests
            if type(session.adapters.get(scheme)) is HTTPAdapter:
                session.mount(scheme, _Timed())
        return session

    @staticmethod
    def _delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        """Nothing: the server has done it, as Java's client expects; here each file would be missed with a warning."""


def open_catalog(name: str, properties: Mapping[str, str]) -> Catalog:
    """The catalog that `pyiceberg.catalog.load_catalog` would open from the same properties, with limits."""
    if properties.get("type") == "rest" and "py-catalog-impl" not in properties:
        return TimedRestCatalog(name, **properties)
    uri = properties.get("uri", "")
    if uri.startswith("sqlite:") and "?" not in uri:
        return LeanSqlCatalog(name, **{**properties, "uri": f"{uri}?timeout={LOCK_SECONDS}"})
    return load_catalog(name, **properties)
