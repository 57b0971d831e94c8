"""Rebuilds silver from bronze in a temporary lake and compares it with the live one (`verify --rebuild`)."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.compute as pc

from pipelines.bronze.table import BronzeBatch
from pipelines.clock import utc_now
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import ACCEPTED_RELEASES_NAME, QUARANTINE_NAME, lines_table
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.state import consumed_through
from pipelines.silver.topic import SilverTopic

PREFIX, LOCK = "rebuild-", "rebuild"  # of the temporary folder, and of the lock that its process holds in it
_SHOWN = 5
_KEYS: Mapping[str, list[str]] = {
    QUARANTINE_NAME: ["topic", "partition", "offset"],
    ACCEPTED_RELEASES_NAME: ["topic", "partition", "offset"],
    **{name: ["_partition", "_offset", "line_number"] for topic in TOPICS if (name := lines_table(topic))},
}


@contextmanager
def rebuilt_silver(settings: Settings, lake: Lake, *, piece_rows: int | None = None) -> Iterator[Lake]:
    """Silver rebuilt from the lake's bronze, in a lake of its own inside the home that is deleted afterwards.

    `piece_rows` is the most records transformed at a time, whatever the batches were.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=settings.home))
    try:
        location = {"catalog_url": f"sqlite:///{folder / 'catalog.db'}", "lake_root": str(folder / "lake")}
        with home_lock(folder, LOCK):
            rebuilt = Lake.open(settings.model_copy(update=location))
            try:
                _build(settings, lake, rebuilt, piece_rows)
                yield rebuilt
            finally:
                rebuilt.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(settings: Settings, lake: Lake, rebuilt: Lake, piece_rows: int | None) -> None:
    """Transform the batches that the live silver has consumed.

    Batches that wait in bronze are therefore no difference, and a topic that drift froze does not stop the rebuild.
    """
    quarantine = Quarantine(rebuilt)
    for topic in TOPICS:
        silver = SilverTopic(rebuilt, topic, settings.policy(topic), source=lake, piece_rows=piece_rows)
        for batch in _up_to(consumed_through(lake, topic), silver.pending(settings.batch_size)):
            outcome = silver.transform(batch, quarantine, utc_now)
            if outcome is not None:
                quarantine.commit([outcome])
                silver.commit(outcome)


def _up_to(last: int, batches: Iterator[BronzeBatch]) -> Iterator[BronzeBatch]:
    for batch in batches:
        if batch.first_batch_id > last:
            return
        if batch.batch_id > last:
            rows = batch.rows.filter(pc.less_equal(batch.rows.column("batch_id"), last))
            batch = replace(batch, batch_id=last, rows=rows)
        yield batch


def same_rows(one: Lake, two: Lake) -> Iterator[tuple[str, bool, str]]:
    """For each silver table: name of the check, whether all rows are equal but for clock columns (R30), detail."""
    for name in two.names():
        if name.startswith("silver.") and one.find(name) is not None:
            yield _same(one, two, name)


def _same(one: Lake, two: Lake, name: str) -> tuple[str, bool, str]:
    keys = _KEYS.get(name, ["_partition", "_offset"])
    left, right = (
        lake.scan(name).drop("quarantined_at", strict=False).sort(keys, maintain_order=True).collect()
        for lake in (one, two)
    )
    check = f"{name}: equal to a rebuild"
    if left.columns == right.columns and left.equals(right):
        return check, True, f"{len(left):,} rows"
    detail = f"live {len(left):,} rows, rebuilt {len(right):,}"
    if left.columns != right.columns:
        return check, False, f"{detail}; columns differ: {sorted(set(left.columns) ^ set(right.columns))}"
    only = [
        a.join(b, on=keys, how="anti", maintain_order="left").select(keys) for a, b in ((left, right), (right, left))
    ]
    differ = pl.concat(only).sort(keys).head(_SHOWN).rows()
    return check, False, f"{detail}; " + (f"keys on one side only: {differ}" if differ else "same keys, other values")
