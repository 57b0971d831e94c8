"""Freshness: the time from an event to its visibility in the published file, at a steady rate.

Three processes: the producer, the pipeline, and this one, the reader. The lag of an event is the time from when it
was due until a reader has it and all events before it. On a grid of 100 ms the lag is the age of the newest such
event. A run is valid only if the tables are exact at the end and the producer kept its rate.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.corpus import FULL, LEAN, Shape, Truth, checksum, sales
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options, say
from benchmarks.processes import ANIMEVERSE, PYTHON, environment, running
from benchmarks.results import Result
from benchmarks.score import sales_faults
from benchmarks.watch import Watch

_WARM_UP = 5.0  # seconds at the beginning that are excluded
_LEAD = 4.0  # seconds from the producer's start to its first event, for its imports
_TIMEOUT = 60.0  # seconds to wait for the last events
_MAX_DELAY = 0.25  # seconds the producer may be late at p99
_GRID = 0.1
_LEAN_RATE = 20_000  # lakehouse-ingest-bench: 5 MB/s in rows of 256 B
_FLOW = "import asyncio; from flows.micro_batch import micro_batch; asyncio.run(micro_batch(minutes={minutes}))"
_FOLLOW = [*ANIMEVERSE, "run", "all", "--follow", "--json"]


def freshness(options: Options) -> Result:
    """Measure every rate, then small events, then optionally the Prefect flow."""
    result = Result("freshness", options.shown())
    minutes = (options.seconds + _TIMEOUT) / 60
    runs = [(f"{rate}", rate, FULL, _FOLLOW) for rate in options.rates]
    runs.append(("256B.5MBps", _LEAN_RATE, LEAN, _FOLLOW))
    if options.with_prefect:
        runs.append(("prefect.1000", 1_000, FULL, [*PYTHON, _FLOW.format(minutes=minutes)]))
    for name, rate, shape, command in runs:
        for _ in range(options.repeat):
            _once(result, f"freshness.{name}.{options.log}", rate, shape, command, options)
    return result


def _once(result: Result, name: str, rate: int, shape: Shape, command: list[str], options: Options) -> None:
    count = int(rate * options.seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, log_of(options.log, Path(folder)) as target:
        home = Path(folder) / "home"
        home.mkdir()
        with target.opened():
            pass  # creates the topics before the pipeline starts
        own = environment(home, target.url, **target.settings, **options.settings())
        watch = Watch(home, count)
        with running(command, own, home) as pipeline:
            watch.wait_for_file(timeout=120)
            before = pipeline.cpu_seconds()
            began, sent = _produce_and_watch(watch, target, home, count, rate, shape)
            spent = pipeline.cpu_seconds() - before
            usage = pipeline.stop() if command is _FOLLOW else None
        faults = _faults(home, watch, sent, count, rate, began, shape)
        result.faults += [f"{name}: {fault}" for fault in faults]
        due = began + np.arange(count) / rate
        _add_lags(result, name, due, watch.visible_at)
        result.add(f"{name}.cpu_share", "cores", spent / options.seconds)
        if usage is not None:
            result.add(f"{name}.peak_gb", "GB", usage.peak_bytes / 1e9)
        result.details.setdefault(name, []).append({"producer": sent, "looks": watch.looks, "faults": faults})


def _produce_and_watch(
    watch: Watch, target: LogTarget, home: Path, count: int, rate: int, shape: Shape
) -> tuple[float, dict[str, float]]:
    """Return when the first event was due, and the producer's own figures."""
    begin = int((time.time() + _LEAD) * 1e6)
    watch.follow_rate(begin, 1_000_000 // rate)
    form = "lean" if shape.is_lean else "full"
    command = [sys.executable, "-m", "benchmarks.steady", target.url, target.prefix, str(count), str(rate), str(begin)]
    with running([*command, form], environment(home, target.url), home) as producer:
        watch.until(count, begin / 1e6 + count / rate + _TIMEOUT)
        return begin / 1e6, json.loads(producer.wait(timeout=30).stdout)


def _faults(
    home: Path, watch: Watch, sent: dict[str, float], count: int, rate: int, began: float, shape: Shape
) -> list[str]:
    """Return the reasons why the run is invalid."""
    number = np.arange(count)
    sold = sales(number, (began * 1e6 + number * (1e6 / rate)).astype(np.int64), shape)
    lines, cents = int(sold["lines"].sum()), int(sold["cents"].sum())
    faults = sales_faults(home, Truth(count, 0, count, 0, lines, cents, checksum(number)))
    if watch.count < count:
        faults.append(f"only {watch.count:,} of {count:,} events became visible")
    if sent["p99_delay"] > _MAX_DELAY:
        faults.append(f"the producer did not keep its rate: late by {sent['p99_delay']:.2f} s at p99")
    return faults


def _add_lags(result: Result, name: str, due: np.ndarray, visible_at: np.ndarray) -> None:
    counted = due >= due[0] + _WARM_UP if due[-1] - due[0] > 2 * _WARM_UP else due >= due[0]
    event = (visible_at - due)[counted]
    grid = np.arange(due[counted][0] + _GRID, due[-1], _GRID)
    # visible_at never decreases within a partition. Across partitions, an event counts when all before it are visible.
    reached = np.searchsorted(np.maximum.accumulate(visible_at), grid, side="right") - 1
    age = grid - np.where(reached >= 0, due[np.maximum(reached, 0)], due[0])
    for kind, lags in (("event", event), ("grid", age)):
        found = [*np.percentile(lags, (50, 95, 99)), lags.max()]
        for share, value in zip(("p50", "p95", "p99", "max"), found, strict=True):
            result.add(f"{name}.{kind}_lag_{share}", "s", float(value))
    p50, _, p99 = np.percentile(event, (50, 95, 99))
    say(f"{name}: event -> published p50 {p50:.2f} s, p99 {p99:.2f} s, max {event.max():.2f} s")
