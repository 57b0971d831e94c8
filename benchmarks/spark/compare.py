"""Compare the product and Spark on one topic of one broker: `benchmarks/spark/run`.

Cold: each is a new process over the full topic. Warm: Spark first runs the same code over another topic in the same
JVM; the product's figure is the ledger's time of a new process, which is never warmed up.
"""

import argparse
import json
import os
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

from benchmarks import catch_up, table
from benchmarks.corpus import TOPIC, Corpus, Truth
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options, say
from benchmarks.processes import environment, measured
from benchmarks.results import Result
from benchmarks.score import differences, sales_faults

_JOB = Path(__file__).with_name("job.py")


def compare(options: Options, heap: str, warm_up: int) -> Result:
    """Measure the product and Spark alternately."""
    result = Result("spark", options.shown() | {"heap": heap, "warm_up": warm_up})
    with tempfile.TemporaryDirectory(prefix="bench-") as named, log_of("kafka", Path(named)) as target:
        folder = Path(named)
        other = LogTarget(target.url, f"{target.prefix}warm-")
        truths = []
        for where, events in ((target, options.events), (other, warm_up)):
            corpus = Corpus(events)
            with where.opened() as log:
                for chunk in corpus.chunks():
                    log.append(TOPIC, chunk)
            truths.append(corpus.truth)
        for repetition in range(options.repeat):
            home = folder / f"ours{repetition}"
            catch_up.once(
                result, "sales.kafka", home, target, options.events, lambda at: sales_faults(at, truths[0]), options
            )
            shutil.rmtree(home, ignore_errors=True)  # the JVM may still be deleting files
            for name, warm in (("cold", ""), ("warm", other.prefix + TOPIC)):
                _spark(result, name, warm, target, truths[0], folder / f"{name}{repetition}", heap)
    return result


def _spark(result: Result, name: str, warm: str, target: LogTarget, truth: Truth, home: Path, heap: str) -> None:
    home.mkdir()
    own = environment(home, target.url) | {"SPARK_JARS": os.environ["SPARK_JARS"], "SPARK_LOCAL_DIRS": str(home)}
    servers, topic = target.url.removeprefix("kafka://"), target.prefix + TOPIC
    command = [os.environ["SPARK_PYTHON"], str(_JOB), servers, topic, warm, str(home), heap]
    used = measured(command, own, home)
    answer = json.loads(used.stdout.strip().splitlines()[-1])
    net = Decimal(truth.cents) / 100
    expected = {"bronze": truth.records, "events": truth.events, "silver": truth.events, "lines": truth.lines}
    found = {key: answer[key] for key in expected} | {"net": Decimal(answer["net_sales"])}
    faults = differences(expected | {"net": net}, found)
    result.faults += [f"spark {name}: {fault}" for fault in faults]
    seconds = answer["seconds"] if name == "warm" else answer["gold_at"] - used.began_at
    result.add(f"spark.{name}.events_per_second", "events/s", truth.records / seconds)
    result.add(f"spark.{name}.seconds", "s", seconds)
    result.add(f"spark.{name}.cpu_seconds", "s", used.cpu_seconds)
    result.add(f"spark.{name}.peak_gb", "GB", used.peak_bytes / 1e9)
    say(f"spark, {name}: {truth.records / seconds:,.0f} events/s, {used.peak_bytes / 1e9:.2f} GB")
    shutil.rmtree(home, ignore_errors=True)  # the JVM may still be deleting files


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/spark/run", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--warm-up", type=int, default=500_000, help="events of the topic that warms Spark's JVM")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--heap", default="6g", help="heap of Spark's JVM")
    parser.add_argument("--save", action="store_true", help="write results/spark.json and the tables of README.md")
    given = parser.parse_args()
    found = compare(Options(events=given.events, repeat=given.repeat, log="kafka"), given.heap, given.warm_up)
    print(table.figures_table([found]))
    if given.save:
        say(f"written to {found.save()}")


if __name__ == "__main__":
    main()
