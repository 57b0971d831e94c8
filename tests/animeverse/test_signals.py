import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from animeverse.signals import stop_on_signals

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
from animeverse.signals import stop_on_signals
with stop_on_signals("stopping") as stop:
    print("ready", flush=True)
    if sys.argv[1] == "checks the event":
        stop.wait(30)
        print("finished", flush=True)
    elif sys.argv[1] == "runs in Polars":
        import polars as pl
        a, b, c = (pl.LazyFrame({name: range(20_000)}) for name in "abc")
        product = pl.col("a") * pl.col("b") + pl.col("c")
        a.join(b, how="cross").join(c, how="cross").select(product.sum()).collect()
        print("never", flush=True)
    else:
        import duckdb
        duckdb.sql("select count(*) from range(100000000000) a where hash(a.range) = 7").fetchall()
        print("never", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("work", "printed"), [("checks the event", "finished\n"), ("runs in a library", ""), ("runs in Polars", "")]
)
def test_a_signal_ends_the_process_within_a_second_with_0(number: int, work: str, printed: str) -> None:
    command = [sys.executable, "-c", PROGRAM, work]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)  # the library is imported and at work
    began = time.perf_counter()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert time.perf_counter() - began < 1.5
    assert (process.returncode, stdout, stderr) == (0, printed, "\nstopping\n")


def test_the_previous_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    open_files = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with stop_on_signals("stopping") as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    if open_files:
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
