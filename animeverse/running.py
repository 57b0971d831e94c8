"""`animeverse run`: the micro-batch loop with its progress shown and its report printed."""

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from animeverse import console
from animeverse.progress import Bars, bars
from pipelines.changes import SilverChanges
from pipelines.errors import AlreadyRunningError
from pipelines.runner import LAYERS, Progress, RunReport
from pipelines.runner import run as run_layers
from pipelines.settings import Settings
from warehouse.build import Refreshed, Warehouse

_PATIENCE = 60.0  # seconds between computations of what depends on ended days alone, such as the CLV fit
_CLOSING, _LOOK_EVERY = 2.0, 0.05  # seconds that a warehouse takes at most until it is closed, and between looks
HEADS = ("topic", "records", "on time", "late", "duplicates", "quarantined")


def run(
    settings: Settings, layer: str, *, follow: bool, stop: threading.Event, anew: bool = False
) -> tuple[RunReport, float]:
    """Run a layer, or all of them; the report and the seconds it took. With `anew` gold forgets all it has first."""
    layers = LAYERS if layer == "all" else (layer,)
    began = time.perf_counter()
    with _frozen(), bars() as shown, gold_writer(settings, anew=anew) if "gold" in layers else nullcontext() as gold:
        report = run_layers(
            settings,
            layers,
            follow=follow,
            gold=gold,
            clock=lambda: datetime.now(UTC),
            progress=lambda progress: show(shown, progress),
            stop=stop,
        )
    return report, time.perf_counter() - began


@contextmanager
def _frozen() -> Iterator[None]:
    """What lives already, modules above all, is left alone by collections; but the last one has to see it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Gold:
    """The warehouse, opened when it is first needed: by then the loop holds the home's lock."""

    def __init__(self, settings: Settings, anew: bool) -> None:
        self._folder, self._anew = settings.published_path.parent, anew
        self.opened: Warehouse | None = None

    def _warehouse(self) -> Warehouse:
        # Whoever had the home's lock before us gave it back before it closed gold.
        until = time.monotonic() + _CLOSING
        while self.opened is None:
            try:
                # a refresh of everything is the last one, too: nothing is left for later
                self.opened = Warehouse(self._folder, patience=0.0 if self._anew else _PATIENCE, anew=self._anew)
            except AlreadyRunningError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_EVERY)
        return self.opened

    def reflected(self) -> Mapping[str, int]:
        """As Warehouse.reflected."""
        return self._warehouse().reflected()

    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        """As Warehouse.refresh."""
        return self._warehouse().refresh(changes, now)

    def settle(self, now: datetime) -> Refreshed | None:
        """As Warehouse.settle."""
        return self._warehouse().settle(now)

    def tidy(self) -> bool:
        """As Warehouse.tidy."""
        return self._warehouse().tidy()

    def publish(self) -> None:
        """As Warehouse.publish."""
        if self.opened is not None:
            self.opened.publish()

    def reset(self) -> None:
        """As Warehouse.reset."""
        self._warehouse().reset()


@contextmanager
def gold_writer(settings: Settings, *, anew: bool = False) -> Iterator[_Gold]:
    """The writer of gold for `pipelines.runner.run`, which opens it under the home's lock."""
    gold = _Gold(settings, anew)
    try:
        yield gold
    finally:
        if gold.opened is not None:
            gold.opened.close()


def show(shown: Bars, progress: Progress) -> None:
    """One word of progress: a note as a line, the rest in the layer's bar."""
    if progress.note is not None:
        shown.say(progress.note)
    else:
        shown.update(progress.layer, progress.done, progress.total)


def as_json(report: RunReport, took: float) -> dict[str, Any]:
    """The report for programs."""
    return {
        "records": report.polled,
        "rounds": report.rounds,
        "refreshes": report.refreshes,
        "seconds": round(took, 3),
        "seconds_by_step": {step: round(spent, 3) for step, spent in report.seconds.items()},
        "topics": {topic: asdict(counts) for topic, counts in report.topics.items()},
    }


def print_report(report: RunReport, took: float) -> None:
    """What was done, by topic, and why records were quarantined; on stdout."""
    rows = [row for row in topic_rows(report) if row[1] != "0"]
    if rows:
        console.put(console.table(HEADS, rows, right=range(1, 6)))
        reasons = reason_counts(report)
        if reasons:
            console.put("\nquarantined because of " + ", ".join(f"{name} {rows:,}" for name, rows in reasons))
    rate = f", {report.polled / took:,.0f} a second" if report.polled else ""
    steps = ", ".join(f"{step} {console.seconds(spent)}" for step, spent in report.seconds.items())
    console.put(
        f"{console.count(report.polled)} records in {console.seconds(took)}{rate}" + (f" ({steps})" if steps else "")
    )


def topic_rows(report: RunReport) -> list[tuple[str, ...]]:
    """One row a topic, the sum last."""
    counts = {
        topic: (of.polled, of.accepted_on_time, of.accepted_late, of.duplicates, of.quarantined)
        for topic, of in report.topics.items()
    }
    total = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    return [(topic, *map(console.count, numbers)) for topic, numbers in [*counts.items(), ("all", total)]]


def reason_counts(report: RunReport) -> list[tuple[str, int]]:
    """Rules that quarantined records, the busiest first. A record may have broken several."""
    found: dict[str, int] = {}
    for counts in report.topics.values():
        for reason, rows in counts.reasons.items():
            found[reason] = found.get(reason, 0) + rows
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))
