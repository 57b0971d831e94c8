"""Meanings of the tables and columns that no model describes, for the data dictionary.

These are the Iceberg tables of bronze, silver and operations, and the tables that a refresh keeps about itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipelines.contracts.tables import (
    ACCEPTED_RELEASES,
    BATCHES,
    BRONZE,
    LANDING_FILES,
    LOG_GAPS,
    QUARANTINE,
    RELEASES,
    RULE_COUNTS,
    SCHEMA_DRIFT,
    TIMESTAMP,
)
from pipelines.silver.watermark_table import WATERMARKS

_RECORD = {
    "partition": "topic partition; -1 for landing files",
    "offset": "position in the partition",
    "timestamp": "timestamp of the record; null if the log has none",
    "key": "key of the record, unchanged",
    "headers": "headers of the record",
    "value": "value of the record, byte for byte; null and empty are different",
}
_RELEASED = {
    "topic": "topic of the quarantined record",
    "partition": "its topic partition",
    "offset": "its offset",
    "release_partition": "topic partition of the copy that the release sent",
    "release_offset": "offset of the copy",
}
_BATCH = {"batch_id": "the micro-batch, numbered by topic", "topic": "the topic"}

LINEAGE: Mapping[str, str] = {
    "_partition": "topic partition of the record; -1 for files",
    "_offset": "offset of the record",
    "_arrival": "`on_time` or `late`",
    "_lateness_seconds": "seconds behind the newest event of its partition; 0 if not behind",
    "_recorded_at": "timestamp of the record: when it arrived in the log",
    "_ingested_at": "when bronze read it, by the clock of the pipeline",
    "_extra": "fields that are not in the contract, as JSON text",
}


@dataclass(frozen=True, slots=True)
class TableMeaning:
    """A table, the meaning of its columns, and for an Iceberg table its schema."""

    title: str
    grain: str
    columns: Mapping[str, str]
    schema: pa.Schema | None = None


BRONZE_TABLES = TableMeaning(
    "The records of a topic as they arrived.",
    "partition, offset",
    _RECORD
    | {
        "ingested_at": "when the pipeline read it, by its clock",
        "batch_id": "the micro-batch that read it, numbered by topic",
    },
    BRONZE,
)

SILVER_TABLES: Mapping[str, TableMeaning] = {
    "silver.quarantine": TableMeaning(
        "Records that could not be accepted, complete.",
        "topic, partition, offset",
        _RECORD
        | {
            "topic": "the topic",
            "event_id": "the event; null if it could not be read",
            "reasons": "names of all rules that failed in the stage that stopped it, sorted",
            "detail": "what was expected and what was found",
            "quarantined_at": "when it was quarantined, by the clock of the pipeline",
        },
        QUARANTINE,
    ),
    "silver.releases": TableMeaning(
        "Quarantined records that were accepted by a release (R27).",
        "topic, partition, offset",
        _RELEASED,
        ACCEPTED_RELEASES,
    ),
}

# Of `ops` and `gold` in the published file: types come from the file.
PUBLISHED_TABLES: Mapping[str, TableMeaning] = {
    "gold.refreshes": TableMeaning(
        "The refreshes of gold. The last row says what the tables hold.",
        "refresh_id",
        {
            "refresh_id": "number of the refresh, from 1 after a rebuild",
            "refreshed_at": "when it was, by the clock of the pipeline",
            "silver_snapshots": "Iceberg snapshot of each silver table that gold reflects",
            "rows_changed": "rows written, by table",
        },
    ),
    "ops.gold_warnings": TableMeaning(
        "Checks of gold that found rows and do not stop a refresh.",
        "refresh_id, model, claim",
        {
            "refresh_id": "the refresh",
            "model": "the table",
            "claim": "what the check expects",
            "rows": "rows that violate it",
        },
    ),
    "ops.restatements": TableMeaning(
        "How late data and other changes of ended days changed the KPIs of a day.",
        "refresh_id, date, kpi, cause",
        {
            "refresh_id": "the refresh; 0 and less for refreshes before the last rebuild of gold",
            "restated_at": "when it was, by the clock of the pipeline",
            "date": "the UTC day",
            "table_name": "the table of the KPI",
            "kpi": "the column",
            "cause": "`late`: late events; `on_time`: other events of an ended day; `master_data`: a version moved",
            "value_before": "value before the change",
            "value_after": "value after the change",
            "delta": "value_after less value_before",
            "event_count": "number of events that caused it; 0 for master data, negative if they are gone",
            "event_ids": "up to 10 of these events",
            "was_ended": "whether the day had ended before the refresh",
            "was_final": "whether the day was final before the refresh (R17)",
        },
    ),
}

OPERATIONS_TABLES: Mapping[str, TableMeaning] = {
    "ops.batches": TableMeaning(
        "The ledger: what became of the records of each micro-batch (R26).",
        "topic, batch_id, partition",
        _BATCH
        | {
            "partition": "topic partition; -1 for landing files",
            "offset_from": "first offset",
            "offset_to": "last offset",
            "polled": "records read from the log",
            "bronze": "records written to bronze",
            "accepted_on_time": "events accepted on time",
            "accepted_late": "events accepted late",
            "duplicates": "identical copies of accepted events",
            "quarantined": "records quarantined",
            "quarantined_by_reason": "quarantined records by reason; a record with several reasons counts for each",
            "started_at": "when the batch began",
            "bronze_at": "when bronze was committed",
            "silver_at": "when silver was committed",
            "gold_at": "when a refresh of gold with the batch was published; null before",
            "bronze_snapshot_id": "Iceberg snapshot of bronze",
            "silver_snapshot_id": "Iceberg snapshot of silver",
        },
        BATCHES,
    ),
    "ops.rule_counts": TableMeaning(
        "Records by rule and micro-batch, for rules that quarantine and rules that warn (R10).",
        "topic, batch_id, rule",
        _BATCH
        | {
            "rule": "name of the rule (R13)",
            "action": "`quarantine` or `warn`",
            "rows": "records; rows of `ops.gold_rule_counts` are added with no batch_id",
        },
        RULE_COUNTS,
    ),
    "ops.schema_drift": TableMeaning(
        "Fields that are not in the contract, by micro-batch (R29).",
        "topic, batch_id, field",
        _BATCH
        | {
            "field": "name of the field",
            "change": "`new_field`",
            "rows": "records with the field",
            "first_partition": "topic partition of the first of them",
            "first_offset": "offset of the first of them",
            "sample": "a value, as JSON text",
        },
        SCHEMA_DRIFT,
    ),
    "ops.landing_files": TableMeaning(
        "Files that were read from the landing folders (R28).",
        "topic, file",
        {
            "topic": "the topic",
            "file": "name of the file",
            "sha256": "digest of its content",
            "rows": "records in it",
            "batch_from": "first micro-batch with its records",
            "batch_to": "last micro-batch with its records",
            "ingested_at": "when it was read, by the clock of the pipeline",
        },
        LANDING_FILES,
    ),
    "ops.log_gaps": TableMeaning(
        "Offsets that are missing in bronze because `animeverse resume` accepted a changed or truncated topic.",
        "topic, partition, offset_from, decided_at",
        {
            "topic": "the topic",
            "partition": "topic partition, in the numbers of bronze",
            "offset_from": "first missing offset",
            "offset_to": "last missing offset; null if it is unknown",
            "records_lost": "missing records; null if the number is unknown",
            "cause": "why they are missing",
            "decided_at": "when `animeverse resume` ran",
            "old_log_id": "id of the log that bronze was read from",
            "new_log_id": "id of the log that reading continues with",
            "old_topic_id": "id of the topic that bronze was read from",
            "new_topic_id": "id of the topic that reading continues with",
        },
        LOG_GAPS,
    ),
    "ops.releases": TableMeaning(
        "Releases: quarantined records that were sent to the log again (R27).",
        "topic, release_partition, release_offset",
        _RELEASED
        | {
            "fix": "origin and digest of the fix; null for an unchanged record",
            "value_sha256": "digest of the value that was sent",
            "released_at": "when it was sent",
        },
        RELEASES,
    ),
    "ops.watermarks": TableMeaning(
        "Event-time state of each topic partition (R14, R16). A view that is computed when it is read.",
        "topic, partition",
        {
            "topic": "the topic",
            "partition": "topic partition; -1 for landing files",
            "high": "greatest event_time (R14)",
            "last_record_at": "greatest timestamp of a record",
            "is_idle": "whether the partition does not count for the watermark",
            "watermark": "watermark of the topic (R16)",
        },
        WATERMARKS,
    ),
    "ops.migrations": TableMeaning(
        "Tables that `animeverse migrate` copied into this lakehouse.",
        "table",
        {
            "migrated_at": "when the migration finished",
            "table": "full name of the table",
            "rows": "rows copied",
            "files": "data files copied",
            "bytes": "size of these files",
            "digest": "digest of the rows",
            "source_catalog": "catalog that it was copied from",
            "source_snapshot_id": "Iceberg snapshot that was copied; null for an empty table",
        },
        pa.schema(
            [
                ("migrated_at", TIMESTAMP),
                ("table", pa.string()),
                ("rows", pa.int64()),
                ("files", pa.int64()),
                ("bytes", pa.int64()),
                ("digest", pa.string()),
                ("source_catalog", pa.string()),
                ("source_snapshot_id", pa.int64()),
            ]
        ),
    ),
}
