"""The contents of a lakehouse, for comparing two homes, and a small log to fill one."""

from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.lake.catalog import Lake
from pipelines.log.open import open_log
from producers.world import World

GOLD = (
    "dim_customer",
    "dim_product",
    "dim_anime_title",
    "dim_customer_segment",
    "fct_sales",
    "fct_cinema_attendance",
    "fct_inventory_movement",
    "fct_inventory_daily",
    "fct_review",
    "fct_customer_engagement",
)


def fill_log(home: Path, events: int, *, seed: int = 5, days: int = 3) -> None:
    """Write a small history with the default faults to the log of the home, or of the settings in the environment."""
    settings = load_settings(home=home)
    log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
    log.ensure_topics(list(TOPICS))
    for batch in World(seed, date(2026, 3, 1), days, events).batches():
        log.append(batch.topic, batch.records)
    log.close()


def silver(home: Path) -> dict[str, pl.DataFrame]:
    """Return silver's rows in log order, without the clock columns (R30)."""
    lake = Lake.open(load_settings(home=home))
    found = {}
    for name in lake.names():
        if name.startswith("silver."):
            frame = lake.scan(name).drop("_ingested_at", "quarantined_at", strict=False).collect()
            keys = ["topic", "_partition", "_offset", "partition", "offset", "line_number"]
            found[name] = frame.sort([key for key in keys if key in frame.columns])
    lake.close()
    return found


def gold(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of the gold tables and of daily_summary, including keys, sorted."""
    with duckdb.connect(str(home / "gold" / "animeverse.duckdb"), read_only=True) as connection:
        return {
            name: connection.execute(f"select * from {name} order by all").fetchall()
            for name in (*(f"gold.{table}" for table in GOLD), "marts.daily_summary")
        }


def differences(one: Path, two: Path) -> list[str]:
    """Return the names of the silver and gold tables that differ between two homes."""
    left, right = silver(one), silver(two)
    found = [name for name in left.keys() | right.keys() if name not in right or not left[name].equals(right[name])]
    ours, theirs = gold(one), gold(two)
    return sorted(found) + [name for name in ours if ours[name] != theirs[name]]
