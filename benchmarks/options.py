"""Options of the benchmarks, and progress messages."""

import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """Options of all benchmarks. Each uses the ones it needs."""

    events: int = 2_000_000
    repeat: int = 3
    log: str = "embedded"  # or kafka
    load: str = "both"  # sales, mixed
    batch_size: int | None = None  # None: adaptive
    seconds: int = 60  # of each steady rate
    rates: tuple[int, ...] = (500, 5_000)
    rows: int = 50_000_000  # of the history
    days: int = 400
    commits: int = 10_000
    with_prefect: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the options as a dictionary for the result."""
        return asdict(self)

    def settings(self) -> dict[str, str]:
        """Return the pipeline settings that differ from the defaults."""
        return {"batch_size": str(self.batch_size)} if self.batch_size else {}


QUICK = Options(events=50_000, repeat=1, seconds=8, rows=200_000, days=20, commits=100)


def say(line: str) -> None:
    """Write a progress message to stderr."""
    print(line, file=sys.stderr, flush=True)
