"""`python -m benchmarks NAME`: run a benchmark. Progress on stderr, results on stdout; README.md has the method."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from benchmarks import picture, results, table
from benchmarks.catch_up import catch_up
from benchmarks.commits import commits
from benchmarks.floors import floors
from benchmarks.freshness import freshness
from benchmarks.history import history, query
from benchmarks.logs import NoBrokerError
from benchmarks.options import QUICK, Options, say
from benchmarks.results import Result
from benchmarks.small import demo, idle, memory, start

BENCHMARKS: dict[str, Callable[[Options], Result]] = {
    "catch_up": catch_up,
    "freshness": freshness,
    "history": history,
    "commits": commits,
    "memory": memory,
    "idle": idle,
    "query": query,
    "start": start,
    "demo": demo,
    "floors": floors,
}
# `all` omits query, which is part of history, and memory, which is part of catch_up and demo.
_ALL = ("catch_up", "freshness", "history", "commits", "idle", "start", "demo", "floors")
_OVER_LOGS = ("catch_up", "freshness")


def main() -> int:
    given, rest = _arguments()
    if given.benchmark == "all":
        return _all(given, rest)
    options = QUICK if given.quick else Options()
    chosen = {name: getattr(given, name) for name in ("events", "repeat", "log", "load", "batch_size", "seconds")}
    chosen |= {name: getattr(given, name) for name in ("rows", "days", "commits", "rates")}
    options = replace(options, **{name: value for name, value in chosen.items() if value is not None})
    try:
        found = BENCHMARKS[given.benchmark](replace(options, with_prefect=given.prefect))
    except NoBrokerError as error:
        say(f"not measured: {error}")
        return 1
    if not (given.quick or found.faults):  # an invalid result is not saved
        say(f"written to {found.save()}")
        _publish()
    print(found.to_json() if given.json else table.figures_table([found]))
    for fault in found.faults:
        say(f"invalid: {fault}")
    return 1 if found.faults else 0


def _all(given: argparse.Namespace, rest: list[str]) -> int:
    """Run every benchmark in its own process. Those that depend on the log run once per log."""
    logs = [given.log] if given.log else ["embedded", "kafka"]
    failed = []
    for name in _ALL:
        for log in logs if name in _OVER_LOGS else ["embedded"]:
            say(f"== {name} ({log})")
            command = [sys.executable, "-m", "benchmarks", name, *rest, "--log", log]
            if subprocess.run(command, check=False).returncode:
                failed.append(f"{name} ({log})")
    if not given.quick:
        print(table.goals_table(results.saved()))
    say("all results are valid" if not failed else f"failed or invalid: {', '.join(failed)}")
    return 1 if failed else 0


def _publish() -> None:
    on_file = results.saved()
    table.write(on_file)
    if drawn := picture.draw(on_file):
        picture.FILE.write_text(drawn)


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments, and the options that `all` passes on (without the name)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("benchmark", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--quick", action="store_true", help="small sizes, as a smoke test; saves nothing")
    parser.add_argument("--json", action="store_true", help="JSON on stdout in place of a table")
    parser.add_argument("--events", type=int, help="events of catch-up (2,000,000)")
    parser.add_argument("--repeat", type=int, help="repetitions (3)")
    parser.add_argument("--log", choices=("embedded", "kafka"), help="kafka: ANIMEVERSE_LOG_URL, else start a broker")
    parser.add_argument("--load", choices=("sales", "mixed", "both"), help="load of catch-up (both)")
    parser.add_argument("--batch-size", type=int, help="records per topic in a micro-batch, at most (adaptive)")
    parser.add_argument("--seconds", type=int, help="duration of each steady rate (60)")
    parser.add_argument(
        "--rates", type=lambda text: tuple(map(int, text.split(","))), help="events a second (500,5000)"
    )
    parser.add_argument("--prefect", action="store_true", help="measure freshness of the Prefect flow as well")
    parser.add_argument("--rows", type=int, help="fact rows of the history (50,000,000)")
    parser.add_argument("--days", type=int, help="days of the history (400)")
    parser.add_argument("--commits", type=int, help="commits of the benchmark commits (10,000)")
    given = parser.parse_args()
    words = sys.argv[1:]
    words.remove(given.benchmark)
    return given, words


if __name__ == "__main__":
    sys.exit(main())
