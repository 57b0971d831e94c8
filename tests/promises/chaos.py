"""`make chaos N=100`: kills a running pipeline at random moments while producers append, then counts every record.

    python -m tests.promises.chaos N [seed] [home]

The count uses only the log and the tables: numbers, checksums of ids, every partition and offset. `verify` runs after
it. Runs and producers are forked from this process, which imports everything and uses nothing of it before the last
kill, so a restart takes as long as opening the pipeline. Progress goes to stderr, one line of JSON to stdout.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from animeverse.services import run as running
from pipelines.config.settings import Settings, load_settings
from pipelines.lake.catalog import Lake
from pipelines.log.open import open_log
from pipelines.operations.verify import verify
from tests.promises.chaos_load import TOPICS, ExpectedVerdicts, checksum, expected_verdicts, produce
from warehouse.verify import gold_checks

RATE, BATCH_SIZE = 200.0, 60
_LAST_BATCH_SIZE = 5_000  # of the run that catches up
_FIRST_COMMIT_TIMEOUT = 20.0  # seconds
_CATCH_UP_TIMEOUT = 300.0  # seconds


def fork(work: Callable[[], None], errors: Path) -> int:
    """Start a process that does the work and exits with 0, or with 1 and a traceback in `errors`; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        sink = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def kill(pid: int) -> bool:
    """Send SIGKILL; return whether the process was still alive."""
    ended, _ = os.waitpid(pid, os.WNOHANG)
    if ended:
        return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def wait(pid: int, seconds: float) -> int | None:
    """Return the exit code of a process; kill it and return None after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    kill(pid)
    return None


class Pipeline:
    """One home, a producer that always runs, and a run that is killed and started again."""

    def __init__(self, home: Path, seed: int) -> None:
        self.settings = load_settings(home=home, batch_size=BATCH_SIZE)
        self.home, self.rng, self.producers = home, random.Random(seed), 0
        self.errors, self.stop = home / "child.txt", home / "stop"
        self.producer = self._produce()

    def _produce(self) -> int:
        self.producers += 1
        name = f"p{self.producers}"
        return fork(lambda: produce(self.settings.log_url, name, RATE, self.stop), self.home / "producer.txt")

    def run(self, *, follow: bool) -> int:
        """Start `animeverse run all` in a separate process."""
        settings = self.settings if follow else load_settings(home=self.home, batch_size=_LAST_BATCH_SIZE)
        return fork(lambda: _discard(running.run(settings, "all", follow=follow, stop=threading.Event())), self.errors)

    def kill_once(self) -> bool:
        """Start a run and kill it at a random moment; return whether it had committed.

        Some runs are killed while they open, most within a second after their first commit. Sometimes the producer is
        killed, too.
        """
        before, began = self._committed(), time.monotonic()
        pid = self.run(follow=True)
        if self.rng.random() < 0.2:
            time.sleep(self.rng.uniform(0.0, 1.5))
        else:
            while self._committed() == before and time.monotonic() - began < _FIRST_COMMIT_TIMEOUT:
                time.sleep(0.01)
            time.sleep(self.rng.uniform(0.0, 1.0))
        committed = self._committed() != before
        if not kill(pid):
            raise SystemExit(f"the run ended by itself:\n{self.errors.read_text()}")
        if self.rng.random() < 0.1:
            if not kill(self.producer):
                raise SystemExit(f"the producer ended by itself:\n{(self.home / 'producer.txt').read_text()}")
            self.producer = self._produce()
        return committed

    def _committed(self) -> int:
        """Return a number that changes with every commit to the catalog."""
        path = self.settings.catalog_path
        return path.stat().st_mtime_ns if path is not None and path.exists() else 0

    def finish(self) -> None:
        """Stop the producer, and run once to catch up."""
        self.stop.touch()
        if wait(self.producer, 30) != 0:
            raise SystemExit("the producer did not end")
        if wait(self.run(follow=False), _CATCH_UP_TIMEOUT) != 0:
            raise SystemExit(f"the last run failed:\n{self.errors.read_text()}")


def _discard(_: Any) -> None: ...


def account(settings: Settings) -> dict[str, Any]:
    """Count the records that exist, are lost and are duplicated, from the log and the tables alone."""
    total: Counter[str] = Counter()
    faults: list[str] = []
    ids: list[str] = []
    with closing(Lake.open(settings)) as lake:
        for topic in TOPICS:
            expected, name = expected_verdicts(settings.log_url, topic), topic.replace("-", "_")
            bronze = lake.scan(f"bronze.{name}").select("partition", "offset", "value").collect()
            silver = lake.scan(f"silver.{name}").select("event_id").collect()["event_id"].to_list()
            quarantined = lake.scan("silver.quarantine").filter(pl.col("topic") == topic).select("value").collect()
            ledger = lake.scan("ops.batches").filter(pl.col("topic") == topic).collect()
            ids += silver
            total += Counter(
                records=expected.records,
                accepted=len(silver),
                duplicates=expected.duplicates,
                quarantined=len(quarantined),
                batches=ledger["batch_id"].n_unique(),
            )
            faults += [f"{topic}: {fault}" for fault in _faults(expected, bronze, silver, quarantined, ledger, total)]
            if topic == "pos-transactions":
                lines = lake.scan("silver.pos_items").select(pl.len()).collect().item()
                gold = _gold(settings, "select count(*) from gold.fct_sales")
                if not lines == gold == expected.lines:
                    faults.append(
                        f"{expected.lines} lines were sold, silver.pos_items has {lines}, gold.fct_sales {gold}"
                    )
    return {**dict(total), "lost": total["lost"], "double": total["double"], "ids": checksum(ids), "faults": faults}


def _faults(
    expected: ExpectedVerdicts,
    bronze: pl.DataFrame,
    silver: list[str],
    quarantined: pl.DataFrame,
    ledger: pl.DataFrame,
    total: Counter[str],
) -> list[str]:
    found = []
    refs = Counter(zip(bronze["partition"].to_list(), bronze["offset"].to_list(), strict=True))
    lost = len(expected.values.keys() - refs.keys()) + len(expected.accepted - set(silver))
    double = sum(refs.values()) - len(refs) + len(silver) - len(set(silver))
    total.update(lost=lost, double=double)
    if lost or double:
        found.append(f"{lost} lost, {double} double")
    if dict(zip(refs, bronze["value"].to_list(), strict=False)) != expected.values and not (lost or double):
        found.append("bronze's bytes are not the log's")
    if checksum(silver) != checksum(expected.accepted):
        found.append("the ids in silver are not those of the log")
    if Counter(quarantined["value"].to_list()) != expected.quarantined:
        found.append("quarantine does not hold the expected records")
    sums = {name: ledger[name].sum() for name in ("polled", "duplicates", "quarantined")}
    if sums != {
        "polled": expected.records,
        "duplicates": expected.duplicates,
        "quarantined": expected.quarantined.total(),
    }:
        found.append(f"the ledger says {sums}")
    return found


def _gold(settings: Settings, sql: str) -> int:
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        return int(connection.execute(sql).fetchall()[0][0])


def chaos(kills: int, seed: int, home: Path) -> dict[str, Any]:
    """Run the suite in an empty home; return its results. `faults` and `failed` are empty on success."""
    began = time.monotonic()
    home.mkdir(parents=True, exist_ok=True)
    if wait(fork(lambda: prepare(home), home / "child.txt"), 60) != 0:
        raise SystemExit(f"the log could not be created:\n{(home / 'child.txt').read_text()}")
    pipeline, working = Pipeline(home, seed), 0
    try:
        for number in range(1, kills + 1):
            working += pipeline.kill_once()
            if number % 10 == 0 or number == kills:
                print(f"{number} kills, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        pipeline.finish()
    except BaseException:
        os.kill(pipeline.producer, signal.SIGKILL)
        raise
    killed = time.monotonic() - began
    found = account(pipeline.settings)
    checks = verify(pipeline.settings, gold_checks=gold_checks)
    failed = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    return {
        "kills": kills,
        "after_a_commit": working,
        "seed": seed,
        "producers": pipeline.producers,
        **found,
        "checks": len(checks),
        "failed": failed,
        "seconds": round(time.monotonic() - began, 1),
        "seconds_killing": round(killed, 1),
    }


def prepare(home: Path) -> None:
    """Create the log with its topics, so that the producer and the first run can begin."""
    with closing(open_log(load_settings(home=home).log_url)) as log:
        log.ensure_topics(list(TOPICS))


def main() -> int:
    """Run the suite with the command-line arguments; return the exit code."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    home = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp(prefix="animeverse-chaos-"))
    print(f"seed {seed}, home {home}", file=sys.stderr, flush=True)
    found = chaos(kills, seed, home)
    print(json.dumps(found))
    ok = not found["faults"] and not found["failed"]
    if ok and len(sys.argv) < 4:
        shutil.rmtree(home)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
