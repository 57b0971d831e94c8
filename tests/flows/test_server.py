"""Garbage collection in Prefect's server."""

import subprocess
import sys

from tests.flows.served import ROOT

_PROGRAM = """
import threading, time
from flows import server

server.INTERVAL, server.FULL_EVERY = 0.05, 3
collected = []

class Cycle:
    def __init__(self):
        self.self = self
    def __del__(self):
        collected.append(threading.current_thread().name)

server.collect_in_thread()
Cycle()
kept = [[] for _ in range(100_000)]  # enough for a hundred automatic collections
is_late = collected == []
deadline = time.monotonic() + 20
while not collected and time.monotonic() < deadline:
    time.sleep(0.05)
print(collected == [server.THREAD], is_late or collected)
old = Cycle()
time.sleep(0.3)  # now in the oldest generation
del old
while len(collected) < 2 and time.monotonic() < deadline:
    time.sleep(0.05)
print(set(collected) == {server.THREAD}, len(collected))
"""


def test_garbage_is_collected_only_in_its_own_thread() -> None:
    output = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    first, second = output.stdout.splitlines()
    assert first.startswith("True ")
    assert second == "True 2"
