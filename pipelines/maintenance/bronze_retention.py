"""Bronze retention by age (`ANIMEVERSE_BRONZE_RETENTION`): remove whole days of bronze, in one metadata commit.

A day is removed when it ended longer ago than the age, silver has consumed all of it, and no later duplicate can need
one of its records for comparison (R21). Master data is never removed: its duplicates are compared with all history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pyarrow.compute as pc

from pipelines.bronze.removed_range import KEYS, RemovedRange, recount
from pipelines.clock import from_micros
from pipelines.config.settings import Settings
from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.contracts.tables import bronze_name, checkpoint_table
from pipelines.errors import CheckFailedError
from pipelines.lake.catalog import FileRange, Lake, LakeTable
from pipelines.lake.rewrite import file_lines
from pipelines.quarantine.records import KEY_COLUMNS, QuarantineFilter, read_rows
from pipelines.silver.ledger import entries_of
from pipelines.silver.state import consumed_through, read_state
from pipelines.silver.watermark import UNBOUNDED, horizon

_REF = ["partition", "offset"]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """Data files of a bronze table that may be removed, and the removed range that the table records with it."""

    paths: frozenset[str]
    rows: int
    removed_range: RemovedRange

    def commit(self, table: LakeTable) -> None:
        """Remove the files. Raises CommitConflictError if the table has changed since the plan was made."""
        table.remove_files(self.paths, self.removed_range.properties())


def plan_retention(lake: Lake, bronze: str, settings: Settings, now: datetime) -> RetentionPlan | None:
    """What retention removes from this table. None: nothing, or it is not the bronze table of a business topic.

    Raises CheckFailedError if ledger, silver and bronze disagree about these records; they are kept for analysis.
    """
    topic = next((topic for topic in TOPICS if bronze_name(topic) == bronze), None)
    if settings.bronze_retention is None or topic is None or CONTRACTS[topic].is_master:
        return None
    table = lake.table(bronze)
    days = {file.path: date.fromisoformat(file.partition.rpartition("=")[2]) for file in file_lines(table, None)}
    limit, ranges = (now - settings.bronze_retention).astimezone(UTC).date(), table.file_ranges("batch_id")
    old = {path for path, day in days.items() if day < limit}
    if not old or any(file.lower is None for file in ranges):
        return None
    limit = min(limit, _needed_from(lake, topic, settings) or limit)
    old = {path for path, day in days.items() if day < limit}
    through = _whole_batches(ranges, old, consumed_through(lake, topic))
    removed = [file for file in ranges if (file.upper or 0) <= through]
    if not removed:
        return None
    paths = frozenset(file.path for file in removed)
    tasks = [task for task in table.tasks() if task.file.file_path in paths]
    parts = [pl.DataFrame(pl.from_arrow(batch)) for batch in table.read_files(tasks, [*_REF, "batch_id"])]
    records, known = pl.concat(parts), RemovedRange.of(table)
    removed_range = known.extended(through, max(days[path] for path in paths) + timedelta(days=1), records)
    _check(lake, topic, records, removed_range, known.through)
    return RetentionPlan(paths, len(records), removed_range)


def _needed_from(lake: Lake, topic: str, settings: Settings) -> date | None:
    """The first ingestion day of accepted records that a later duplicate may be compared with. None: there are none."""
    known = read_state(lake, topic)
    if known is None:
        return None
    state, recorded = known
    floor = min(horizon(state, policy) for policy in (recorded, settings.policy(topic)))
    comparable = lake.table(checkpoint_table(topic)).read_between(
        "event_time", None if floor == UNBOUNDED else from_micros(floor), None, ["_ingested_at"]
    )
    first: datetime | None = pc.min(comparable.column("_ingested_at")).as_py()
    return None if first is None else first.astimezone(UTC).date()


def _whole_batches(files: Sequence[FileRange], old: set[str], consumed: int) -> int:
    """The last batch up to which whole batches are removed: old files contain all of them, and no later ones."""
    through = consumed
    while True:
        kept = [file.lower for file in files if file.path not in old or (file.upper or 0) > through]
        first = min((lower for lower in kept if lower is not None), default=through + 1)
        if first > through:
            return through
        through = first - 1


def _check(lake: Lake, topic: str, records: pl.DataFrame, removed_range: RemovedRange, known: int) -> None:
    """Check that ledger, silver and quarantine account for every record to remove, after batch `known`."""
    entries = entries_of(lake, topic).filter(pl.col("batch_id").is_between(known + 1, removed_range.through))
    until = datetime.combine(date.fromisoformat(removed_range.before), time(), UTC)
    columns = ["_partition", "_offset", "_arrival"]
    silver = lake.table(checkpoint_table(topic)).read_between("_ingested_at", None, until, columns)
    accepted = pl.DataFrame(pl.from_arrow(silver)).rename({"_partition": "partition", "_offset": "offset"})
    counted = recount(entries, accepted, read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS))
    held = records.group_by(KEYS).agg(pl.len().cast(pl.Int64).alias("polled"))
    same = counted.join(entries, on=counted.columns, how="semi").join(held, on=held.columns, how="semi")
    if not len(same) == len(entries) == len(held):
        raise CheckFailedError(
            f"{bronze_name(topic)}: retention removed nothing, since {max(len(entries), len(held)) - len(same)} ledger "
            f"entries up to batch {removed_range.through} differ from the tables. Run `animeverse verify` to see which."
        )
