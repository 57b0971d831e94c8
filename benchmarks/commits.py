"""Append time after 10,000 commits against 10: `python -m benchmarks.commits --commits 10000`.

Appends small batches with checkpoint metadata to a bronze table, while the background maintenance of `run --follow`
expires snapshots and merges files. `--months N` spreads the commits evenly over N simulated months, so the table
keeps hourly and daily snapshots. `--without-upkeep` disables maintenance.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa

from benchmarks.options import Options
from benchmarks.results import Result
from pipelines.bronze.table import ensure_bronze
from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import BRONZE
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.maintenance.background import BackgroundMaintenance, OwnedTable

TOPIC = "inventory-updates"
WINDOW = 50  # appends per median
YOUNG = 10  # commits of a new table
_ROWS = 100


@dataclass(frozen=True, slots=True)
class Point:
    """State of the table after this number of commits. Times are of the last WINDOW appends."""

    commits: int
    median_ms: float
    p95_ms: float
    snapshots: int
    files: int
    upkeep_ms: float  # mean per commit, over all commits so far


def measure(home: Path, commits: int, *, months: float = 0, upkeep: bool = True) -> list[Point]:
    """Return points at 10, 100, 1,000, … commits and at the end."""
    wanted = {10**n for n in range(1, 9) if 10**n < commits} | {commits}
    began = datetime.now(UTC) - timedelta(days=30 * months)
    moment = began

    def clock() -> datetime:
        return moment if months else datetime.now(UTC)

    points: list[Point] = []
    append_ms: list[float] = []
    maintenance_ms = 0.0
    settings = load_settings(home=home)
    with closing(Lake.open(settings)) as lake:
        table = ensure_bronze(lake, TOPIC)
        maintenance = BackgroundMaintenance(lake, settings, clock, print)
        try:
            for n in range(1, commits + 1):
                moment = began + timedelta(days=30 * months) * n / commits
                with _at(moment) if months else nullcontext():
                    start = time.perf_counter()
                    _append(table, n)
                    append_ms.append(1000 * (time.perf_counter() - start))
                    start = time.perf_counter()
                    if upkeep:
                        maintenance.expire([table])
                        maintenance.step([OwnedTable(table, lambda work: work())])
                    maintenance_ms += 1000 * (time.perf_counter() - start)
                if n in wanted:
                    last = sorted(append_ms[-WINDOW:])
                    points.append(
                        Point(
                            n,
                            round(statistics.median(last), 1),
                            round(last[int(len(last) * 0.95)], 1),
                            table.snapshot_count,
                            len(table.file_paths()),
                            round(maintenance_ms / n, 2),
                        )
                    )
        finally:
            maintenance.close()
    return points


def interleaved(home: Path, commits: int) -> tuple[float, float]:
    """Return the median milliseconds of an append to the table of `measure` and to a table with 10 commits.

    The appends alternate, because the machine's speed may change in the minutes between the first and the last commit.
    """
    old_ms: list[float] = []
    young_ms: list[float] = []
    with closing(Lake.open(load_settings(home=home))) as lake:
        old = ensure_bronze(lake, TOPIC)
        for topic in [topic for topic in TOPICS if topic != TOPIC][: WINDOW // YOUNG]:
            young = ensure_bronze(lake, topic)
            for n in range(1, YOUNG + 1):
                _append(young, n)
            for n in range(1, YOUNG + 1):
                turns = ((young, YOUNG + n, young_ms), (old, commits + n, old_ms))
                for table, number, measured in turns:
                    start = time.perf_counter()
                    _append(table, number)
                    measured.append(1000 * (time.perf_counter() - start))
            commits += YOUNG
    return statistics.median(old_ms), statistics.median(young_ms)


def commits(options: Options) -> Result:
    """Measure the append time after all commits against that after ten."""
    result = Result("commits", options.shown())
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            points = measure(Path(folder), options.commits)
            old, young = interleaved(Path(folder), options.commits)
        result.add("commits.append_ratio", "x", old / young)
        result.add("commits.last_append_ms", "ms", old)
        result.details.setdefault("points", []).append([asdict(point) for point in points])
    return result


def _append(table: LakeTable, number: int) -> None:
    """Append one batch as the bronze writer does."""
    now = datetime.now(UTC)
    first = number * _ROWS
    rows = pa.Table.from_arrays(
        [
            pa.array([0] * _ROWS, pa.int32()),
            pa.array(range(first, first + _ROWS)),
            pa.array([now] * _ROWS, BRONZE.field("timestamp").type),
            pa.array([b"P1"] * _ROWS),
            pa.nulls(_ROWS, BRONZE.field("headers").type),
            pa.array([b'{"event_id":"e%d"}' % n for n in range(first, first + _ROWS)]),
            pa.array([now] * _ROWS, BRONZE.field("ingested_at").type),
            pa.array([number] * _ROWS),
        ],
        schema=BRONZE,
    )
    table.append(rows, {"batch-id": str(number), "offsets": encode({"0": first + _ROWS}), "log-id": "benchmark"})


@contextmanager
def _at(moment: datetime) -> Iterator[None]:
    """Set the clock that PyIceberg uses to that moment."""
    with patch("pyiceberg.table.snapshots.time.time", lambda: moment.timestamp()):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--months", type=float, default=0.0)
    parser.add_argument("--without-upkeep", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        points = measure(Path(folder), given.commits, months=given.months, upkeep=not given.without_upkeep)
    if given.json:
        print(json.dumps([asdict(point) for point in points], indent=2))
        return
    print(f"{'commits':>9}  {'append ms':>9}  {'p95':>6}  {'snapshots':>9}  {'files':>6}  upkeep ms a commit")
    for point in points:
        print(
            f"{point.commits:>9,}  {point.median_ms:>9}  {point.p95_ms:>6}  {point.snapshots:>9}  {point.files:>6}  "
            f"{point.upkeep_ms}"
        )


if __name__ == "__main__":
    main()
