"""Short benchmarks: idle, start, demo, and memory."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.catch_up import catch_up, fill_sales
from benchmarks.corpus import DAY, HOUR, PARTITIONS, START, TOPIC, outgoing, sales
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options, say
from benchmarks.processes import ANIMEVERSE, environment, measured, running
from benchmarks.results import Result
from benchmarks.score import tables
from benchmarks.watch import Watch

_SETTLE, _IDLE = 20.0, 30.0  # seconds until maintenance is done and polls are rare; seconds of measurement
_EVENTS, _FEW = 10_000, 1_000  # events processed before; events of one repetition


def idle(options: Options) -> Result:
    """Measure the CPU of an idle `run all --follow`."""
    result = Result("idle", options.shown())
    with _used_home(options) as (home, target):
        own = environment(home, target.url, **target.settings)
        for _ in range(options.repeat):
            with running([*ANIMEVERSE, "run", "all", "--follow"], own, home) as pipeline:
                Watch(home, 1).wait_for_file(60)
                time.sleep(_SETTLE)
                before, began = pipeline.cpu_seconds(), time.monotonic()
                time.sleep(_IDLE)
                share = (pipeline.cpu_seconds() - before) / (time.monotonic() - began)
                pipeline.check()
                pipeline.stop()
            result.add("idle.percent_of_a_core", "%", 100 * share)
    return result


def start(options: Options) -> Result:
    """Measure the time from process start to its first commit, from the ledger, in a home that is not new."""
    result = Result("start", options.shown())
    with _used_home(options) as (home, target):
        for turn in range(options.repeat):
            number = _EVENTS * (turn + 1) + np.arange(_FEW)
            moment = START + 7 * DAY + turn * HOUR + np.arange(_FEW)
            with target.opened() as log:
                log.append(TOPIC, outgoing(sales(number, moment), number % PARTITIONS, moment))
            used = measured(
                [*ANIMEVERSE, "run", "all", "--once"], environment(home, target.url, **target.settings), home
            )
            for name, column in (("first_batch", "bronze_at"), ("first_published", "gold_at")):
                result.add(f"start.{name}_seconds", "s", _last(home, column).timestamp() - used.began_at)
            result.add("start.exit_seconds", "s", used.wall_seconds)
    return result


def demo(options: Options) -> Result:
    """Measure `animeverse demo` in an empty home, and `rebuild gold` afterwards."""
    result = Result("demo", options.shown())
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory(prefix="bench-") as named:
            home = Path(named) / "home"
            own = environment(home, f"sqlite:///{home / 'log.db'}")
            used = measured([*ANIMEVERSE, "demo"], own, Path(named))
            rebuilt = measured([*ANIMEVERSE, "rebuild", "gold"], own, Path(named))
        result.add("demo.seconds", "s", used.wall_seconds)
        result.add("demo.peak_gb", "GB", used.peak_bytes / 1e9)
        result.add("demo.rebuild_gold_seconds", "s", rebuilt.wall_seconds)
        say(f"demo: {used.wall_seconds:.1f} s, rebuild gold: {rebuilt.wall_seconds:.1f} s")
    return result


def memory(options: Options) -> Result:
    """Measure the peak memory of catch-up and demo, once each."""
    once = replace(options, repeat=1)
    result = Result("memory", options.shown())
    for other in (catch_up(once), demo(once)):
        result.figures += [figure for figure in other.figures if figure.name.endswith("peak_gb")]
        result.faults += other.faults
    return result


@contextmanager
def _used_home(options: Options) -> Iterator[tuple[Path, LogTarget]]:
    """Provide a home that has processed some sales and is up to date."""
    with tempfile.TemporaryDirectory(prefix="bench-") as named, log_of(options.log, Path(named)) as target:
        home = Path(named) / "home"
        home.mkdir()
        fill_sales(target, _EVENTS)
        report = measured(
            [*ANIMEVERSE, "run", "all", "--once", "--json"], environment(home, target.url, **target.settings), home
        )
        assert json.loads(report.stdout)["records"] == _EVENTS
        yield home, target


def _last(home: Path, column: str) -> datetime:
    """Return the time in this column of the newest batch."""
    with tables(home) as table:
        found = table("ops.batches").scan(selected_fields=("batch_id", column)).to_arrow()
    rows = sorted(found.to_pylist(), key=lambda row: row["batch_id"])
    moment: datetime = max(row[column] for row in rows if row["batch_id"] == rows[-1]["batch_id"])
    return moment
