"""`animeverse run`: the micro-batch loop with its progress shown and its report printed."""

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

from animeverse.terminal.progress import bars
from animeverse.terminal.run_report import show
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.loop import run as run_layers
from pipelines.microbatch.report import LAYERS, RunReport
from pipelines.silver.changes import SilverChanges
from warehouse.writer import Refreshed, Warehouse

_PATIENCE = 60.0  # seconds between computations of what depends on ended days alone, such as the CLV fit
_CLOSING, _LOOK_EVERY = 2.0, 0.05  # seconds that a warehouse takes at most until it is closed, and between looks


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
                self.opened = Warehouse(
                    self._folder, max_deferral_seconds=0.0 if self._anew else _PATIENCE, discard_existing=self._anew
                )
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

    def complete_deferred(self, now: datetime) -> Refreshed | None:
        """As Warehouse.settle."""
        return self._warehouse().complete_deferred(now)

    def archive_closed_days(self) -> bool:
        """As Warehouse.tidy."""
        return self._warehouse().archive_closed_days()

    def publish(self) -> None:
        """As Warehouse.publish."""
        if self.opened is not None:
            self.opened.publish()

    def discard(self) -> None:
        """As Warehouse.reset."""
        self._warehouse().discard()


@contextmanager
def gold_writer(settings: Settings, *, anew: bool = False) -> Iterator[_Gold]:
    """The writer of gold for `pipelines.microbatch.loop.run`, which opens it under the home's lock."""
    gold = _Gold(settings, anew)
    try:
        yield gold
    finally:
        if gold.opened is not None:
            gold.opened.close()
