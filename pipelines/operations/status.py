"""What the lakehouse holds and how far it is behind, for people and programs. Reads only. Source: R47, design.md 8."""

from typing import Any

from pipelines.bronze.landing_problems import landing_problems, rejected_files
from pipelines.bronze.position import Position
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.clock import micros
from pipelines.config.settings import Settings
from pipelines.contracts.registry import BUSINESS_TOPICS, TOPICS
from pipelines.contracts.tables import bronze_name
from pipelines.errors import LogRefusedError, LogUnavailableError
from pipelines.lake.catalog import Lake, LakeTable, catalog_properties, open_lakehouse
from pipelines.log.interface import Log, TopicState
from pipelines.log.open import open_log
from pipelines.silver.state import read_state
from pipelines.silver.watermark import ended_before, partition_watermarks, topic_watermark
from pipelines.silver.watermark_table import _moment

_SECRET_PARTS = ("secret", "token", "credential", "password", "access-key")


def status(settings: Settings) -> dict[str, Any]:
    """Lag, watermark, rows, storage and freshness, JSON-able: times are ISO 8601 UTC text, secrets are left out."""
    lake = open_lakehouse(settings)
    try:
        log, unreachable = _log(settings)
        try:
            tables = {name: _table(lake.table(name)) for name in lake.names()}
            topics = {topic: _topic(lake, log, topic, tables) for topic in TOPICS}
        finally:
            if log is not None:
                log.close()
        return {
            "home": str(settings.home),
            "log": {"url": settings.log_url, "error": unreachable},
            "catalog": {
                name: value
                for name, value in catalog_properties(settings).items()
                if not any(part in name for part in _SECRET_PARTS)
            },
            "topics": topics,
            "landing": {
                "problems": {of.path: of.detail for of in landing_problems(settings.home)},
                "rejected": rejected_files(settings.home),
            },
            "days_ended_before": _text(_ended(lake)),
            "tables": tables,
        }
    finally:
        lake.close()


def _log(settings: Settings) -> tuple[Log | None, str | None]:
    try:
        return open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix), None
    except LogUnavailableError as error:
        return None, str(error)


def _table(table: LakeTable) -> dict[str, Any]:
    summary = table.totals()
    committed_at = table.committed_at()
    return {
        "rows": summary.get("total-records", 0),
        "files": summary.get("total-data-files", 0),
        "bytes": summary.get("total-files-size", 0),
        "snapshots": table.snapshot_count,
        "committed_at": committed_at.isoformat() if committed_at else None,
    }


def _topic(lake: Lake, log: Log | None, topic: str, tables: dict[str, Any]) -> dict[str, Any]:
    found = lake.find(bronze_name(topic))
    position = Position.of(found) if found is not None else Position(0, {}, None, None)
    state = None if log is None else _topic_state(with_bronze_partitions(log, topic, position.incarnation), topic)
    stored = read_state(lake, topic)
    report: dict[str, Any] = {
        "bronze_rows": tables.get(bronze_name(topic), {}).get("rows", 0),
        "batches": position.batch_id,
        "next_offsets": {str(p): offset for p, offset in sorted(position.next_offsets.items())},
        "end_offsets": None,
        "lag": None,
        "watermark": None,
        "partitions": [],
    }
    if state is not None:
        report["end_offsets"] = {str(p): offset for p, offset in sorted(state.end_offsets.items())}
        report["lag"] = sum(
            max(0, end - position.next_offsets.get(p, state.first_offsets.get(p, 0)))
            for p, end in state.end_offsets.items()
        )
    if stored is not None:
        partitions, policy = stored
        durations = {
            "out_of_orderness": micros(policy.out_of_orderness),
            "idle_timeout": micros(policy.idle_timeout),
        }
        report["watermark"] = _text(topic_watermark(partitions, **durations))
        report["partitions"] = [
            {
                "partition": share.partition,
                "high": _text(share.high),
                "last_record_at": _text(share.last_record_at),
                "is_idle": share.is_idle,
                "watermark": _text(share.watermark),
            }
            for share in partition_watermarks(partitions, **durations)
        ]
    return report


def _topic_state(log: Log, topic: str) -> TopicState | None:
    try:
        return log.topic_state(topic)
    except (LogRefusedError, LogUnavailableError):
        return None


def _ended(lake: Lake) -> int | None:
    """Midnight before which all days have ended, by the watermarks of the business topics that have records."""
    marks = []
    for topic in BUSINESS_TOPICS:
        stored = read_state(lake, topic)
        if stored is not None and stored[0]:
            partitions, policy = stored
            marks.append(
                topic_watermark(
                    partitions,
                    out_of_orderness=micros(policy.out_of_orderness),
                    idle_timeout=micros(policy.idle_timeout),
                )
            )
    return ended_before(marks)


def _text(moment: int | None) -> str | None:
    found = _moment(moment)
    return None if found is None else found.isoformat().replace("+00:00", "Z")
