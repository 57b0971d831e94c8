"""Columns of every bronze, silver and ops table, as Arrow schemas made from the contracts. Source: R23-R26."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.contracts.fields import MONEY_PRECISION, MONEY_SCALE, Field
from pipelines.contracts.registry import CONTRACTS, Contract
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

BRONZE = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
        pa.field("ingested_at", TIMESTAMP, nullable=False),
        pa.field("batch_id", pa.int64(), nullable=False),
    ]
)

# Where a silver row came from and how late it was.
LINEAGE: tuple[pa.Field, ...] = (
    pa.field("_partition", pa.int32(), nullable=False),
    pa.field("_offset", pa.int64(), nullable=False),
    pa.field("_arrival", pa.string(), nullable=False),
    pa.field("_lateness_seconds", pa.float64(), nullable=False),
    pa.field("_recorded_at", TIMESTAMP),
    pa.field("_ingested_at", TIMESTAMP, nullable=False),
)


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a contract field; of `items`: list<struct>."""
    if field.kind == "lines":
        return pa.list_(pa.struct([pa.field(line.name, arrow_type(line)) for line in field.lines]))
    return _TYPES[field.kind]


def event_fields(contract: Contract) -> list[pa.Field]:
    """The contract's own fields as columns; `items` among them."""
    always = {"event_id", "event_time", "event_type", contract.key_field}
    return [pa.field(field.name, arrow_type(field), nullable=field.name not in always) for field in contract.fields]


def silver_schema(topic: str) -> pa.Schema:
    """Columns of `silver.<topic>`: contract fields without `items`, lineage, `_extra`; evolved columns come after."""
    fields = [field for field in event_fields(CONTRACTS[topic]) if field.name != "items"]
    return pa.schema([*fields, *LINEAGE, pa.field("_extra", pa.string())])


def _pos_items() -> pa.Schema:
    lines = [pa.field(line.name, arrow_type(line)) for line in CONTRACTS["pos-transactions"].field("items").lines]
    head = [pa.field("event_id", pa.string(), nullable=False), pa.field("event_time", TIMESTAMP, nullable=False)]
    return pa.schema([*head, *lines, *LINEAGE])


POS_ITEMS = _pos_items()

QUARANTINE = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
        pa.field("event_id", pa.string()),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("quarantined_at", TIMESTAMP, nullable=False),
    ]
)

# Which quarantined record was accepted by way of a release, so that no further release of it counts (R27).
ACCEPTED_RELEASES = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("release_partition", pa.int32(), nullable=False),
        pa.field("release_offset", pa.int64(), nullable=False),
    ]
)

BATCHES = pa.schema(
    [
        pa.field("batch_id", pa.int64(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset_from", pa.int64(), nullable=False),
        pa.field("offset_to", pa.int64(), nullable=False),
        pa.field("polled", pa.int64(), nullable=False),
        pa.field("bronze", pa.int64(), nullable=False),
        pa.field("accepted_on_time", pa.int64(), nullable=False),
        pa.field("accepted_late", pa.int64(), nullable=False),
        pa.field("duplicates", pa.int64(), nullable=False),
        pa.field("quarantined", pa.int64(), nullable=False),
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
        pa.field("batch_id", pa.int64(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)

SCHEMA_DRIFT = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("batch_id", pa.int64(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("first_partition", pa.int32(), nullable=False),
        pa.field("first_offset", pa.int64(), nullable=False),
        pa.field("sample", pa.string()),
    ]
)


LANDING_FILES = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("batch_from", pa.int64(), nullable=False),
        pa.field("batch_to", pa.int64(), nullable=False),
        pa.field("ingested_at", TIMESTAMP, nullable=False),
    ]
)

# One row a partition and gap: offsets at which a topic and bronze parted; `animeverse resume` went on all the same.
# Partitions are bronze's numbers; a null offset_to or records_lost: nobody can know what a deleted topic still held.
LOG_GAPS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset_from", pa.int64(), nullable=False),
        pa.field("offset_to", pa.int64()),
        pa.field("records_lost", pa.int64()),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("decided_at", TIMESTAMP, nullable=False),
        pa.field("old_log_id", pa.string()),
        pa.field("new_log_id", pa.string()),
        pa.field("old_topic_id", pa.string()),
        pa.field("new_topic_id", pa.string()),
    ]
)

# One row a release: which quarantined record was sent again, where its copy lies, by which fix (null: as it was).
RELEASES = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("release_partition", pa.int32(), nullable=False),
        pa.field("release_offset", pa.int64(), nullable=False),
        pa.field("fix", pa.string()),
        pa.field("value_sha256", pa.string()),
        pa.field("released_at", TIMESTAMP),
    ]
)


def silver_tables(topic: str) -> tuple[str, ...]:
    """Full names of the silver tables that a topic's events fill; the one committed last, the anchor, is last."""
    anchor = f"silver.{CONTRACTS[topic].table}"
    return ("silver.pos_items", anchor) if topic == "pos-transactions" else (anchor,)


def bronze_name(topic: str) -> str:
    """`bronze.<topic_with_underscores>`."""
    return f"bronze.{CONTRACTS[topic].table}"


LOG_GAPS_NAME = "ops.log_gaps"

QUARANTINE_NAME = "silver.quarantine"

ACCEPTED_RELEASES_NAME = "silver.releases"
RELEASES_NAME = "ops.releases"


def checkpoint_table(topic: str) -> str:
    """`silver.<topic_with_underscores>`."""
    return f"silver.{CONTRACTS[topic].table}"
