"""Catch-up: the time from a full log and an empty home until everything is published and correct.

Two loads: the fixed corpus of sales, and a world over all seven topics with data faults. The log is filled before the
clock starts. `animeverse run all --once` runs as a separate process and is measured from outside.
"""

import tempfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from benchmarks import score
from benchmarks.corpus import TOPIC, Corpus
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options, say
from benchmarks.processes import ANIMEVERSE, environment, measured
from benchmarks.results import Result
from pipelines.contracts.registry import CONTRACTS
from producers.publish import publish
from producers.truth import Truth as WorldTruth
from producers.world import World

_DAYS, _SEED, _START = 7, 7, date(2026, 3, 2)
_GIGA = 1e9
# Spark on the same machine with 2,000,000 sales: range of the repetitions (README, "Against Spark").
SPARK_WARM, SPARK_COLD_SECONDS, SPARK_BYTES = (45_000.0, 57_700.0), (70.0, 110.0), (3.2e9, 5.0e9)
SPARK_EVENTS = 2_000_000

Score = Callable[[Path], list[str]]


def catch_up(options: Options) -> Result:
    """Measure both loads."""
    result = Result("catch_up", options.shown())
    for load, fill in (("sales", fill_sales), ("mixed", fill_world)):
        if options.load not in (load, "both"):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as named, log_of(options.log, Path(named)) as target:
            say(f"{load}: {options.events:,} events into the {options.log} log")
            records, score_home = fill(target, options.events)
            for repetition in range(options.repeat):
                once(
                    result,
                    f"{load}.{options.log}",
                    Path(named) / f"home{repetition}",
                    target,
                    records,
                    score_home,
                    options,
                )
    return result


def once(
    result: Result, name: str, home: Path, target: LogTarget, records: int, score_home: Score, options: Options
) -> None:
    """Measure and check one repetition. The home is kept."""
    home.mkdir(parents=True)
    own = environment(home, target.url, **target.settings, **options.settings())
    used = measured([*ANIMEVERSE, "run", "all", "--once", "--json"], own, home)
    faults = score_home(home)
    result.faults += [f"{name}: {fault}" for fault in faults]
    warm = score.first_to_published(home)
    say(f"{name}: {records / warm:,.0f} events/s, {used.wall_seconds:.1f} s cold, {used.peak_bytes / _GIGA:.2f} GB")
    measures = {
        "events_per_second": ("events/s", records / warm),
        "cold_events_per_second": ("events/s", records / used.wall_seconds),
        "cold_seconds": ("s", used.wall_seconds),
        "cpu_seconds_per_million": ("s", used.cpu_seconds / records * 1e6),
        "peak_gb": ("GB", used.peak_bytes / _GIGA),
    }
    for measure, (unit, value) in measures.items():
        result.add(f"catch_up.{name}.{measure}", unit, value)
    result.details[f"{name}.report"] = used.stdout
    if name.startswith("sales"):
        against_spark(result, name, records / warm, records / used.wall_seconds, used.peak_bytes)


def against_spark(result: Result, name: str, warm: float, cold: float, peak: float) -> None:
    """Add the ratios to Spark's range: `least` to its best repetition, `most` to its worst."""
    colds = [SPARK_EVENTS / seconds for seconds in SPARK_COLD_SECONDS]
    ratios = {
        "spark_warm_ratio": (warm / max(SPARK_WARM), warm / min(SPARK_WARM)),
        "spark_cold_ratio": (cold / max(colds), cold / min(colds)),
        "spark_memory_share": (peak / max(SPARK_BYTES), peak / min(SPARK_BYTES)),
    }
    for ratio, (least, most) in ratios.items():
        result.add(f"catch_up.{name}.{ratio}.least", "x", least)
        result.add(f"catch_up.{name}.{ratio}.most", "x", most)


def fill_sales(target: LogTarget, events: int) -> tuple[int, Score]:
    """Write the fixed corpus to the log. Return the number of records and the check of the resulting home."""
    corpus = Corpus(events, _DAYS)
    with target.opened() as log:
        for chunk in corpus.chunks():
            log.append(TOPIC, chunk)
    return corpus.truth.records, lambda home: score.sales_faults(home, corpus.truth)


def fill_world(target: LogTarget, events: int) -> tuple[int, Score]:
    """Write a world to the log. Return the number of records and the check of the resulting home."""
    truth = WorldTruth()
    with target.opened() as log:
        sent = publish(log, truth.watch(World(_SEED, _START, _DAYS, events).batches()))
    expected = score.World(
        {CONTRACTS[topic].table: truth.accepted(topic) for topic in truth.outcomes},
        sum(truth.quarantined(topic) for topic in truth.outcomes),
        {day: Decimal(amount) for day, amount in truth.net_sales().items()},
    )
    return sent, lambda home: score.world_faults(home, expected)
