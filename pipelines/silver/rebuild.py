"""Silver anew from bronze, beside the live one: the proof that it is a function of the log (`verify --rebuild`)."""

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
from pipelines.contracts.tables import QUARANTINE_NAME, ACCEPTED_RELEASES_NAME
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.state import consumed_through
from pipelines.silver.topic import SilverTopic

PREFIX, LOCK = "rebuild-", "rebuild"  # of the folder, and of the lock in it that its process holds
_SHOWN = 5
_KEYS: Mapping[str, list[str]] = {
    QUARANTINE_NAME: ["topic", "partition", "offset"],
    ACCEPTED_RELEASES_NAME: ["topic", "partition", "offset"],
    "silver.pos_items": ["_partition", "_offset", "line_number"],
}


@contextmanager
def rebuilt_silver(settings: Settings, lake: Lake, *, piece_rows: int | None = None) -> Iterator[Lake]:
    """Silver of the lake's bronze, built from nothing in a lake of its own inside the home, gone afterwards.

    `piece_rows`: records judged at a time, whatever the batches were.
    """
    beside = Path(tempfile.mkdtemp(prefix=PREFIX, dir=settings.home))
    try:
        place = {"catalog_url": f"sqlite:///{beside / 'catalog.db'}", "lake_root": str(beside / "lake")}
        with home_lock(beside, LOCK):
            side = Lake.open(settings.model_copy(update=place))
            try:
                _build(settings, lake, side, piece_rows)
                yield side
            finally:
                side.close()
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _build(settings: Settings, lake: Lake, side: Lake, piece_rows: int | None) -> None:
    """As far as silver has come: what waits in bronze is no difference, and a topic that drift froze stops nothing."""
    quarantine = Quarantine(side)
    for topic in TOPICS:
        silver = SilverTopic(side, topic, settings.policy(topic), source=lake, piece_rows=piece_rows)
        for batch in _up_to(consumed_through(lake, topic), silver.pending(settings.batch_size)):
            outcome = silver.work_out(batch, quarantine, utc_now)
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
    """For each silver table: name of the check, whether all rows are the same but for clock columns (R30), detail."""
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
