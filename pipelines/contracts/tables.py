"""Names and columns of every bronze, silver and ops table (R23 to R26). Silver's columns derive from the contracts."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.contracts.contract import Contract
from pipelines.contracts.fields import MONEY_PRECISION, MONEY_SCALE, Field
from pipelines.contracts.registry import CONTRACTS
from pipelines.log.interface import HEADERS

TIMESTAMP = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(MONEY_PRECISION, MONEY_SCALE)

_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "enum": pa.string(),
    "integer": pa.int64(),
    "money": MONEY,
    "time": TIMESTAMP,
    "date": pa.date32(),
    "boolean": pa.bool_(),
    "texts": pa.list_(pa.string()),
}


def required(name: str, kind: pa.DataType) -> pa.Field:
    """A column without nulls."""
    return pa.field(name, kind, nullable=False)


# A record's topic, partition and offset. The partition is bronze's number (see bronze/incarnations.py).
_RECORD = (required("topic", pa.string()), required("partition", pa.int32()), required("offset", pa.int64()))
# The copy of a released record in the log.
_RELEASE = (required("release_partition", pa.int32()), required("release_offset", pa.int64()))

BRONZE = pa.schema(
    [
        required("partition", pa.int32()),
        required("offset", pa.int64()),
        pa.field("timestamp", TIMESTAMP),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
        required("ingested_at", TIMESTAMP),
        required("batch_id", pa.int64()),
    ]
)

# The origin of a silver row, and how late it arrived.
LINEAGE: tuple[pa.Field, ...] = (
    required("_partition", pa.int32()),
    required("_offset", pa.int64()),
    required("_arrival", pa.string()),
    required("_lateness_seconds", pa.float64()),
    pa.field("_recorded_at", TIMESTAMP),
    required("_ingested_at", TIMESTAMP),
)

QUARANTINE = pa.schema(
    [
        *_RECORD,
        pa.field("timestamp", TIMESTAMP),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
        pa.field("event_id", pa.string()),
        required("reasons", pa.list_(pa.string())),
        pa.field("detail", pa.string()),
        required("quarantined_at", TIMESTAMP),
    ]
)

# One row per quarantined record that was accepted through a release. Further releases of the record do not count (R27).
ACCEPTED_RELEASES = pa.schema([*_RECORD, *_RELEASE])

BATCHES = pa.schema(
    [
        required("batch_id", pa.int64()),
        required("topic", pa.string()),
        required("partition", pa.int32()),
        required("offset_from", pa.int64()),
        required("offset_to", pa.int64()),
        required("polled", pa.int64()),
        required("bronze", pa.int64()),
        required("accepted_on_time", pa.int64()),
        required("accepted_late", pa.int64()),
        required("duplicates", pa.int64()),
        required("quarantined", pa.int64()),
        pa.field("quarantined_by_reason", pa.map_(pa.string(), pa.int64())),
        pa.field("started_at", TIMESTAMP),
        pa.field("bronze_at", TIMESTAMP),
        pa.field("silver_at", TIMESTAMP),
        pa.field("gold_at", TIMESTAMP),
        pa.field("bronze_snapshot_id", pa.int64()),
        pa.field("silver_snapshot_id", pa.int64()),
    ]
)

RULE_COUNTS = pa.schema(
    [
        required("batch_id", pa.int64()),
        required("topic", pa.string()),
        required("rule", pa.string()),
        required("action", pa.string()),
        required("rows", pa.int64()),
    ]
)

SCHEMA_DRIFT = pa.schema(
    [
        required("topic", pa.string()),
        required("batch_id", pa.int64()),
        required("field", pa.string()),
        required("change", pa.string()),
        required("rows", pa.int64()),
        required("first_partition", pa.int32()),
        required("first_offset", pa.int64()),
        pa.field("sample", pa.string()),
    ]
)

LANDING_FILES = pa.schema(
    [
        required("topic", pa.string()),
        required("file", pa.string()),
        required("sha256", pa.string()),
        required("rows", pa.int64()),
        required("batch_from", pa.int64()),
        required("batch_to", pa.int64()),
        required("ingested_at", TIMESTAMP),
    ]
)

# One row per partition and gap between a topic and bronze that `animeverse resume` accepted. Partitions are bronze's
# numbers. A null offset_to or records_lost means unknown: the content of a deleted topic.
LOG_GAPS = pa.schema(
    [
        required("topic", pa.string()),
        required("partition", pa.int32()),
        required("offset_from", pa.int64()),
        pa.field("offset_to", pa.int64()),
        pa.field("records_lost", pa.int64()),
        required("cause", pa.string()),
        required("decided_at", TIMESTAMP),
        pa.field("old_log_id", pa.string()),
        pa.field("new_log_id", pa.string()),
        pa.field("old_topic_id", pa.string()),
        pa.field("new_topic_id", pa.string()),
    ]
)

# One row per release: the quarantined record, its copy in the log, and the fix (null: sent unchanged).
RELEASES = pa.schema(
    [
        *_RECORD,
        *_RELEASE,
        pa.field("fix", pa.string()),
        pa.field("value_sha256", pa.string()),
        pa.field("released_at", TIMESTAMP),
    ]
)

LOG_GAPS_NAME = "ops.log_gaps"
QUARANTINE_NAME = "silver.quarantine"
ACCEPTED_RELEASES_NAME = "silver.releases"
RELEASES_NAME = "ops.releases"


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a contract field; for lines it is list<struct>."""
    if field.kind == "lines":
        return pa.list_(pa.struct([pa.field(line.name, arrow_type(line)) for line in field.lines]))
    return _TYPES[field.kind]


def event_fields(contract: Contract) -> list[pa.Field]:
    """The contract's own fields as columns, lines included."""
    return [
        pa.field(field.name, arrow_type(field), nullable=field.name not in contract.delete_fields)
        for field in contract.fields
    ]


def bronze_name(topic: str) -> str:
    """The full name of a topic's bronze table: `bronze.pos_transactions`."""
    return f"bronze.{CONTRACTS[topic].table}"


def checkpoint_table(topic: str) -> str:
    """The full name of a topic's event table in silver, which is committed last and carries the checkpoint."""
    return f"silver.{CONTRACTS[topic].table}"


def lines_table(topic: str) -> str | None:
    """The full name of the silver table of the lines of a topic's events; None if they have no lines."""
    field = CONTRACTS[topic].line_field
    return None if field is None else f"silver.{field.lines_table}"


def silver_tables(topic: str) -> tuple[str, ...]:
    """Full names of a topic's silver tables in the order of their commits. The checkpoint table is last."""
    lines = lines_table(topic)
    return (checkpoint_table(topic),) if lines is None else (lines, checkpoint_table(topic))


def silver_schema(topic: str) -> pa.Schema:
    """Columns of the checkpoint table: contract fields without lines, lineage, `_extra`; then evolved columns."""
    contract = CONTRACTS[topic]
    fields = [column for column, field in zip(event_fields(contract), contract.fields, strict=True) if not field.lines]
    return pa.schema([*fields, *LINEAGE, pa.field("_extra", pa.string())])


def lines_schema(topic: str) -> pa.Schema:
    """Columns of the topic's `lines_table`: the event's id and time, the line's fields, lineage. Raises ValueError."""
    field = CONTRACTS[topic].line_field
    if field is None:
        raise ValueError(f"events of {topic} have no lines")
    lines = [pa.field(line.name, arrow_type(line)) for line in field.lines]
    return pa.schema([required("event_id", pa.string()), required("event_time", TIMESTAMP), *lines, *LINEAGE])


POS_ITEMS = lines_schema("pos-transactions")
