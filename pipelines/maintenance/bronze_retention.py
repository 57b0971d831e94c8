"""Bronze retention by age (`ANIMEVERSE_BRONZE_RETENTION`): whole days of bronze go, in one commit of metadata.

A day may go when it ended longer ago than the age, silver has judged all of it, and no copy that comes now may have to
be compared with one of its records (R21). So master data stays: its copies are compared with all history.
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
    """Data files of a bronze table that may go, and what the table has to say then."""

    paths: frozenset[str]
    rows: int
    cut: RemovedRange

    def commit(self, table: LakeTable) -> None:
        """Remove them. Raises CommitConflictError where the table is another by now."""
        table.remove_files(self.paths, self.cut.properties())


def plan_retention(lake: Lake, bronze: str, settings: Settings, now: datetime) -> RetentionPlan | None:
    """What may go of the table of this name; None: nothing, or it is no bronze table of a business topic.

    Raises CheckFailedError where ledger, silver and bronze do not agree on it: then it is needed to find out why.
    """
    topic = next((topic for topic in TOPICS if bronze_name(topic) == bronze), None)
    if settings.bronze_retention is None or topic is None or CONTRACTS[topic].is_master:
        return None
    table = lake.table(bronze)
    days = {line.path: date.fromisoformat(line.partition.rpartition("=")[2]) for line in file_lines(table, None)}
    limit, ranges = (now - settings.bronze_retention).astimezone(UTC).date(), table.file_ranges("batch_id")
    old = {path for path, day in days.items() if day < limit}
    if not old or any(file.lower is None for file in ranges):
        return None
    limit = min(limit, _needed_from(lake, topic, settings) or limit)
    old = {path for path, day in days.items() if day < limit}
    through = _whole_batches(ranges, old, consumed_through(lake, topic))
    gone = [file for file in ranges if (file.upper or 0) <= through]
    if not gone:
        return None
    paths = frozenset(file.path for file in gone)
    tasks = [task for task in table.tasks() if task.file.file_path in paths]
    parts = [pl.DataFrame(pl.from_arrow(batch)) for batch in table.read_files(tasks, [*_REF, "batch_id"])]
    places, known = pl.concat(parts), RemovedRange.of(table)
    cut = known.extended(through, max(days[path] for path in paths) + timedelta(days=1), places)
    _check(lake, topic, places, cut, known.through)
    return RetentionPlan(paths, len(places), cut)


def _needed_from(lake: Lake, topic: str, settings: Settings) -> date | None:
    """The first day of ingestion of what a copy may still be compared with; None: there is nothing."""
    known = read_state(lake, topic)
    if known is None:
        return None
    state, recorded = known
    floor = min(horizon(state, policy) for policy in (recorded, settings.policy(topic)))
    near = lake.table(checkpoint_table(topic)).read_between(
        "event_time", None if floor == UNBOUNDED else from_micros(floor), None, ["_ingested_at"]
    )
    first: datetime | None = pc.min(near.column("_ingested_at")).as_py()
    return None if first is None else first.astimezone(UTC).date()


def _whole_batches(files: Sequence[FileRange], old: set[str], consumed: int) -> int:
    """The last batch up to which every batch lies in files that may go, and only such batches lie in these."""
    through = consumed
    while True:
        kept = [file.lower for file in files if file.path not in old or (file.upper or 0) > through]
        first = min((lower for lower in kept if lower is not None), default=through + 1)
        if first > through:
            return through
        through = first - 1


def _check(lake: Lake, topic: str, places: pl.DataFrame, cut: RemovedRange, known: int) -> None:
    """The ledger, silver and the quarantine account for every record that is to go."""
    entries = entries_of(lake, topic).filter(pl.col("batch_id").is_between(known + 1, cut.through))
    until = datetime.combine(date.fromisoformat(cut.before), time(), UTC)
    columns = ["_partition", "_offset", "_arrival"]
    anchor = lake.table(checkpoint_table(topic)).read_between("_ingested_at", None, until, columns)
    accepted = pl.DataFrame(pl.from_arrow(anchor)).rename({"_partition": "partition", "_offset": "offset"})
    counted = recount(entries, accepted, read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS))
    held = places.group_by(KEYS).agg(pl.len().cast(pl.Int64).alias("polled"))
    same = counted.join(entries, on=counted.columns, how="semi").join(held, on=held.columns, how="semi")
    if not len(same) == len(entries) == len(held):
        raise CheckFailedError(
            f"{bronze_name(topic)}: nothing was removed by age, since up to batch {cut.through} "
            f"{max(len(entries), len(held)) - len(same)} entries of the ledger are not what the tables hold: "
            "`animeverse verify` says which"
        )
