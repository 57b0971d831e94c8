"""Cost of a run in counts that do not depend on the machine: commits, files, bytes, calls."""

import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.catch_up import fill_sales
from benchmarks.logs import log_of
from pipelines.clock import utc_now
from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import RunReport
from warehouse.writer import Warehouse

_TABLES = ("bronze.pos_transactions", "silver.pos_items", "silver.pos_transactions")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of a catch-up. Bronze and silver run before gold, so thread timing has no influence."""

    rounds: int
    refreshes: int
    commits: int  # snapshots of the bronze and silver tables of sales; a short run expires none
    data_files: int
    data_bytes: int
    published_bytes: int
    calls: int  # of Python functions, up to silver
    gold_calls: int  # of Python functions, in one refresh


def counts(folder: Path, events: int, batch_size: int) -> Counts:
    """Process the fixed corpus in a home in the folder and return the counts."""
    with log_of("embedded", folder) as target:
        fill_sales(target, events)
        settings = load_settings(home=folder / "home", log_url=target.url, batch_size=batch_size)
        stop = threading.Event()

        def work(layers: tuple[str, ...]) -> RunReport:
            with closing(Warehouse(settings.published_path.parent)) as gold:
                return run(settings, layers, follow=False, gold=gold, clock=utc_now, progress=lambda _: None, stop=stop)

        with _Calls() as calls:
            report = work(("bronze", "silver"))
        with _Calls() as gold_calls:
            refreshes = work(("gold",)).refreshes
        with closing(Lake.open(settings)) as lake:
            tables = [lake.table(name) for name in _TABLES]
            commits = sum(table.snapshot_count for table in tables)
    folders = [folder / "home" / "lake" / name.replace(".", "/") / "data" for name in _TABLES]
    files = [file for folder in folders for file in folder.rglob("*.parquet")]
    return Counts(
        report.rounds,
        refreshes,
        commits,
        len(files),
        sum(file.stat().st_size for file in files),
        settings.published_path.stat().st_size,
        calls.made,
        gold_calls.made,
    )


class _Calls:
    """Counts calls of Python functions in this thread and in threads that start inside the block."""

    def __init__(self) -> None:
        self.made = 0

    def _note(self, _frame: object, event: str, _argument: object) -> None:
        if event == "call":
            self.made += 1

    def __enter__(self) -> "_Calls":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)
