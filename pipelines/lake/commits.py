"""What every commit to an Iceberg table shares: whose words are in its summary, and errors that a person can read."""

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import RESTError
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import MetadataLogEntry, Snapshot, SnapshotLogEntry
from pyiceberg.table.update import update_table_metadata

from pipelines.store_errors import store_error

KEY_PREFIX = "animeverse."  # what we write into snapshot summaries and table properties begins with it
COMMIT = KEY_PREFIX + "commit"  # tells our commits apart
# A compaction says whose rows it holds anew; and of the stamp that it carries on, which commit wrote it and when.
ROWS_OF = KEY_PREFIX + "rows-of"
CHECKPOINT_SNAPSHOT, CHECKPOINT_AT = KEY_PREFIX + "stamped-by", KEY_PREFIX + "stamped-at"
_NOT_CHECKPOINT = (COMMIT, ROWS_OF, CHECKPOINT_SNAPSHOT, CHECKPOINT_AT)


# PyIceberg copies all metadata, to the last snapshot's summary, thrice a commit. These are frozen: nobody changes them.
for _frozen in (Snapshot, SnapshotLogEntry, MetadataLogEntry):
    setattr(_frozen, "__deepcopy__", lambda self, memo=None: self)  # noqa: B010


class LeanTransaction(Transaction):
    """PyIceberg's, but the metadata it asks for some twenty times a commit is worked out anew only when it changed.

    Each working out is a deep copy of every snapshot: without this an append takes 22 ms on a fresh table and 62 ms
    with 120 snapshots, with it 14 and 22.
    """

    _known: tuple[TableMetadata, object, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with what is staged; nobody may change it."""
        base, updates = self._table.metadata, self._updates
        if self._known is None or self._known[0] is not base or self._known[1] is not updates:
            self._known = (base, updates, update_table_metadata(base, updates))
        return self._known[2]


def transaction(table: Table) -> Transaction:
    """A transaction on the table as it was loaded."""
    return LeanTransaction(table)


def _machinery_errors() -> tuple[type[BaseException], ...]:
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    boto = sys.modules.get("botocore.exceptions")  # only where a user chose fsspec for the store
    return (OSError, RESTError, RequestException, SQLAlchemyError, *((boto.BotoCoreError,) if boto else ()))


@contextlib.contextmanager
def translate_store_errors(what: str) -> Iterator[None]:
    """Errors of disk, store and catalog become ours, with what was being done."""
    try:
        yield
    except _machinery_errors() as error:
        raise store_error(what, error) from error


def summary_of(snapshot: Snapshot) -> dict[str, str]:
    """All that its commit wrote beside the operation."""
    return snapshot.summary.additional_properties if snapshot.summary else {}


def checkpoint_of(snapshot: Snapshot) -> dict[str, str]:
    """What we wrote into the snapshot's summary, keys without the prefix; {} where it is no commit of ours."""
    found = summary_of(snapshot)
    return {k[len(KEY_PREFIX) :]: v for k, v in found.items() if k.startswith(KEY_PREFIX) and k not in _NOT_CHECKPOINT}


def literal(value: Any) -> Any:
    """A value as PyIceberg's expressions take it."""
    return value.isoformat() if isinstance(value, datetime) else value


def fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
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
