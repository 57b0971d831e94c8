"""A short run of the random kill suite; `make chaos N=1000` is a long one."""

import json
import random
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_ten_kills_at_random_moments_lose_and_duplicate_nothing() -> None:
    seed = random.SystemRandom().randrange(10**6)
    command = [sys.executable, "-m", "tests.promises.chaos", "10", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"
    found = json.loads(done.stdout)
    assert (found["kills"], found["lost"], found["double"]) == (10, 0, 0)
    assert found["accepted"] + found["duplicates"] + found["quarantined"] == found["records"] > 0
