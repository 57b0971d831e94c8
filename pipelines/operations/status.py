"""`animeverse status`: what the lakehouse holds and how far it is behind the log. Reads only (R47)."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipelines.bronze.landing_problems import landing_problems, rejected_files
from pipelines.bronze.position import Position
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.clock import from_micros, instant, micros, to_micros
from pipelines.config.log import LogConnection, connect_log
from pipelines.config.settings import Settings
from pipelines.contracts.registry import BUSINESS_TOPICS, TOPICS
from pipelines.contracts.tables import bronze_name
from pipelines.errors import LogRefusedError, LogUnavailableError
from pipelines.lake.catalog import Lake, LakeTable, catalog_properties
from pipelines.lake.open_lake import open_lakehouse
from pipelines.log.interface import Log, TopicState
from pipelines.silver.state import read_state
from pipelines.silver.watermark import ended_before, partition_watermarks, topic_watermark

_SECRET_PARTS = ("secret", "token", "credential", "password", "access-key")


@dataclass(frozen=True, slots=True)
class TableStatus:
    """The current snapshot of an Iceberg table."""

    rows: int
    files: int
    bytes: int
    snapshots: int
    committed_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {**asdict(self), "committed_at": self.committed_at.isoformat() if self.committed_at else None}


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """The event time of one topic partition."""

    partition: int
    high: datetime | None
    last_record_at: datetime | None
    is_idle: bool
    watermark: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        times = {name: _text(getattr(self, name)) for name in ("high", "last_record_at", "watermark")}
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """One topic: what bronze has read, what the log holds, and the watermark. Offsets are by bronze partition."""

    bronze_rows: int
    batches: int
    next_offsets: Mapping[int, int]
    end_offsets: Mapping[int, int] | None  # None: the log cannot be read
    lag: int | None  # records in the log that bronze does not hold; None: the log cannot be read
    watermark: datetime | None
    partitions: tuple[PartitionStatus, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {
            "bronze_rows": self.bronze_rows,
            "batches": self.batches,
            "next_offsets": _offsets_text(self.next_offsets),
            "end_offsets": None if self.end_offsets is None else _offsets_text(self.end_offsets),
            "lag": self.lag,
            "watermark": _text(self.watermark),
            "partitions": [partition.to_dict() for partition in self.partitions],
        }


@dataclass(frozen=True, slots=True)
class LakehouseStatus:
    """The state of a lakehouse. `catalog` holds the properties that open it, without secrets."""

    home: str
    log_url: str
    log_error: str | None  # why the log cannot be read
    catalog: Mapping[str, str]
    topics: Mapping[str, TopicStatus]
    days_ended_before: datetime | None
    tables: Mapping[str, TableStatus]
    landing_problems: Mapping[str, str]  # path below the home -> why it is not read
    landing_rejected: Sequence[str]  # paths below the home

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict; times are ISO 8601 in UTC."""
        return {
            "home": self.home,
            "log": {"url": self.log_url, "error": self.log_error},
            "catalog": dict(self.catalog),
            "topics": {name: topic.to_dict() for name, topic in self.topics.items()},
            "landing": {"problems": dict(self.landing_problems), "rejected": list(self.landing_rejected)},
            "days_ended_before": _text(self.days_ended_before),
            "tables": {name: table.to_dict() for name, table in self.tables.items()},
        }


def status(settings: Settings) -> LakehouseStatus:
    """Return lag, watermark, rows, storage and freshness. Raises NoLakehouseError without a lakehouse."""
    with closing(open_lakehouse(settings)) as lake, closing(_connect(settings)) as connection:
        tables = {name: _table_status(lake.table(name)) for name in lake.names()}
        topics = {topic: _topic_status(lake, connection.log, topic, tables) for topic in TOPICS}
        catalog = {
            name: value
            for name, value in catalog_properties(settings).items()
            if not any(part in name for part in _SECRET_PARTS)
        }
        return LakehouseStatus(
            home=str(settings.home),
            log_url=settings.log_url,
            log_error=connection.error,
            catalog=catalog,
            topics=topics,
            days_ended_before=_days_ended_before(topics),
            tables=tables,
            landing_problems={problem.path: problem.detail for problem in landing_problems(settings.home)},
            landing_rejected=rejected_files(settings.home),
        )


def _connect(settings: Settings) -> LogConnection:
    try:
        return connect_log(settings)
    except LogRefusedError as error:
        return LogConnection(None, str(error))


def _table_status(table: LakeTable) -> TableStatus:
    totals = table.totals()
    return TableStatus(
        rows=totals.get("total-records", 0),
        files=totals.get("total-data-files", 0),
        bytes=totals.get("total-files-size", 0),
        snapshots=table.snapshot_count,
        committed_at=table.committed_at(),
    )


def _topic_status(lake: Lake, log: Log | None, topic: str, tables: Mapping[str, TableStatus]) -> TopicStatus:
    name = bronze_name(topic)
    bronze = lake.find(name)
    position = Position.of(bronze) if bronze is not None else Position(0, {}, None, None)
    state = None if log is None else _topic_state(with_bronze_partitions(log, topic, position.incarnation), topic)
    watermark, partitions = _event_time(lake, topic)
    return TopicStatus(
        bronze_rows=tables[name].rows if name in tables else 0,
        batches=position.batch_id,
        next_offsets=position.next_offsets,
        end_offsets=None if state is None else state.end_offsets,
        lag=None if state is None else _lag(position, state),
        watermark=watermark,
        partitions=partitions,
    )


def _topic_state(log: Log, topic: str) -> TopicState | None:
    try:
        return log.topic_state(topic)
    except (LogRefusedError, LogUnavailableError):
        return None


def _lag(position: Position, state: TopicState) -> int:
    return sum(
        max(0, end - position.next_offsets.get(partition, state.first_offsets.get(partition, 0)))
        for partition, end in state.end_offsets.items()
    )


def _event_time(lake: Lake, topic: str) -> tuple[datetime | None, tuple[PartitionStatus, ...]]:
    """Return the watermark of the topic and the event time of its partitions."""
    stored = read_state(lake, topic)
    if stored is None:
        return None, ()
    states, policy = stored
    durations = {"out_of_orderness": micros(policy.out_of_orderness), "idle_timeout": micros(policy.idle_timeout)}
    partitions = tuple(
        PartitionStatus(
            partition=found.partition,
            high=_datetime(found.high),
            last_record_at=_datetime(found.last_record_at),
            is_idle=found.is_idle,
            watermark=_datetime(found.watermark),
        )
        for found in partition_watermarks(states, **durations)
    )
    return _datetime(topic_watermark(states, **durations)), partitions


def _days_ended_before(topics: Mapping[str, TopicStatus]) -> datetime | None:
    """Return midnight before which all days have ended, by the watermarks of the business topics that have records."""
    watermarks = [topics[topic].watermark for topic in BUSINESS_TOPICS if topics[topic].partitions]
    return _datetime(ended_before(None if mark is None else to_micros(mark) for mark in watermarks))


def _datetime(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_micros(microseconds)


def _text(time: datetime | None) -> str | None:
    return None if time is None else instant(time)


def _offsets_text(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}
