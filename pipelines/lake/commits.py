"""Shared by all Iceberg commits: the keys of our snapshot summaries, and the translation of errors."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import RESTError
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot

from pipelines.lake.pyiceberg_internals import CachedMetadataTransaction
from pipelines.store_errors import store_error

KEY_PREFIX = "animeverse."  # of all our keys in snapshot summaries and table properties
COMMIT = KEY_PREFIX + "commit"  # the unique id of a commit
# A compaction carries on the checkpoint of an earlier commit. It names the snapshot whose rows it holds, and the
# snapshot and time of the commit that wrote the checkpoint.
ROWS_OF = KEY_PREFIX + "rows-of"
CHECKPOINT_SNAPSHOT, CHECKPOINT_AT = KEY_PREFIX + "stamped-by", KEY_PREFIX + "stamped-at"
_NOT_CHECKPOINT = (COMMIT, ROWS_OF, CHECKPOINT_SNAPSHOT, CHECKPOINT_AT)


def transaction(table: Table) -> Transaction:
    """A transaction on the table as it was loaded."""
    return CachedMetadataTransaction(table)


def _store_error_types() -> tuple[type[BaseException], ...]:
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    boto = sys.modules.get("botocore.exceptions")  # loaded only if the user configured fsspec for the store
    return (OSError, RESTError, RequestException, SQLAlchemyError, *((boto.BotoCoreError,) if boto else ()))


@contextlib.contextmanager
def translate_store_errors(action: str) -> Iterator[None]:
    """Raise StoreUnavailableError, with the action, for disk, object store and catalog failures."""
    try:
        yield
    except _store_error_types() as error:
        raise store_error(action, error) from error


def prefixed(values: Mapping[str, str]) -> dict[str, str]:
    """Our keys as snapshot summaries and table properties store them."""
    return {KEY_PREFIX + key: value for key, value in values.items()}


def summary_of(snapshot: Snapshot) -> dict[str, str]:
    """The snapshot's summary without the operation."""
    return snapshot.summary.additional_properties if snapshot.summary else {}


def checkpoint_of(snapshot: Snapshot) -> dict[str, str]:
    """The checkpoint in the snapshot's summary, keys without the prefix; {} for commits of other writers."""
    summary = summary_of(snapshot)
    return {
        key.removeprefix(KEY_PREFIX): value
        for key, value in summary.items()
        if key.startswith(KEY_PREFIX) and key not in _NOT_CHECKPOINT
    }


def expression_literal(value: Any) -> Any:
    """A value in the form that PyIceberg's expressions accept."""
    return value.isoformat() if isinstance(value, datetime) else value


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with exactly the schema's columns, types and nullability. Absent columns are null, others dropped."""
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
    """A checkpoint value as compact JSON text with sorted keys."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
