"""What whoever measures may choose, and the voice on stderr."""

import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of all benchmarks; each takes what it knows."""

    events: int = 2_000_000
    repeat: int = 3
    log: str = "embedded"  # or kafka
    load: str = "both"  # sales, mixed
    batch_size: int | None = None  # None: the pipeline's own choice
    seconds: int = 60  # of each steady rate
    rates: tuple[int, ...] = (500, 5_000)
    rows: int = 50_000_000  # of the history
    days: int = 400
    commits: int = 10_000
    with_prefect: bool = False

    def shown(self) -> dict[str, Any]:
        """For the result."""
        return asdict(self)

    def settings(self) -> dict[str, str]:
        """Settings of the pipeline that differ from its defaults."""
        return {"batch_size": str(self.batch_size)} if self.batch_size else {}


QUICK = Options(events=50_000, repeat=1, seconds=8, rows=200_000, days=20, commits=100)


def say(line: str) -> None:
    """Progress, for a person."""
    print(line, file=sys.stderr, flush=True)
