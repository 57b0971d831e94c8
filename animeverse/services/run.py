"""Run layers of the pipeline with the warehouse attached."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime

from animeverse.services.reporter import SILENT, Reporter
from pipelines.clock import utc_now
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.loop import run as run_loop
from pipelines.microbatch.report import LAYERS, Progress, RunReport
from pipelines.silver.changes import SilverChanges
from warehouse.writer import Refreshed, Warehouse

_DEFERRAL = 60.0  # seconds between computations of what depends on ended days alone, such as the CLV fit
_CLOSE_TIMEOUT, _POLL_INTERVAL = 2.0, 0.05  # seconds


def run(
    settings: Settings,
    layer: str,
    *,
    follow: bool,
    stop: threading.Event,
    reporter: Reporter = SILENT,
    discard_gold: bool = False,
) -> tuple[RunReport, float]:
    """Run one layer, or `all` of them.

    Returns the report and the elapsed seconds. With `discard_gold`, gold is rebuilt from all of silver.
    """
    layers = LAYERS if layer == "all" else (layer,)
    began = time.perf_counter()
    with _existing_objects_frozen():
        report = run_layers(
            settings, layers, follow=follow, stop=stop, progress=_forward_to(reporter), discard_gold=discard_gold
        )
    return report, time.perf_counter() - began


def run_layers(
    settings: Settings,
    layers: Sequence[str],
    *,
    follow: bool,
    stop: threading.Event,
    progress: Callable[[Progress], None],
    discard_gold: bool = False,
) -> RunReport:
    """Run the micro-batch loop over these layers, and close gold at the end.

    `progress` is called from the threads of the loop.
    """
    with _gold_writer(settings, discard_gold) if "gold" in layers else nullcontext() as gold:
        return run_loop(settings, layers, follow=follow, gold=gold, clock=utc_now, progress=progress, stop=stop)


def _forward_to(reporter: Reporter) -> Callable[[Progress], None]:
    def forward(progress: Progress) -> None:
        if progress.note is not None:
            reporter.say(progress.note)
        else:
            reporter.update(progress.layer, progress.done, progress.total)

    return forward


@contextmanager
def _existing_objects_frozen() -> Iterator[None]:
    """Exclude objects that exist at the start, mostly modules, from garbage collection during the block."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # the collection at exit must see them


class _Gold:
    """The loop's `GoldWriter`. Opens the warehouse at the first call, when the loop holds the home's lock."""

    def __init__(self, settings: Settings, discard: bool) -> None:
        self._folder, self._discard = settings.published_path.parent, discard
        self.opened: Warehouse | None = None

    def _warehouse(self) -> Warehouse:
        # The previous writer releases the home's lock before it closes gold.
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        while self.opened is None:
            try:
                # A rebuild is also the last refresh of its run, so it defers nothing.
                self.opened = Warehouse(self._folder, patience=0.0 if self._discard else _DEFERRAL, anew=self._discard)
            except AlreadyRunningError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_INTERVAL)
        return self.opened

    def reflected(self) -> Mapping[str, int]:
        """See Warehouse.reflected."""
        return self._warehouse().reflected()

    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        """See Warehouse.refresh."""
        return self._warehouse().refresh(changes, now)

    def complete_deferred(self, now: datetime) -> Refreshed | None:
        """See Warehouse.complete_deferred."""
        return self._warehouse().complete_deferred(now)

    def archive_closed_days(self) -> bool:
        """See Warehouse.archive_closed_days."""
        return self._warehouse().archive_closed_days()

    def publish(self) -> None:
        """See Warehouse.publish. Does nothing while the warehouse is not open."""
        if self.opened is not None:
            self.opened.publish()

    def discard(self) -> None:
        """See Warehouse.discard."""
        self._warehouse().discard()


@contextmanager
def _gold_writer(settings: Settings, discard: bool) -> Iterator[_Gold]:
    gold = _Gold(settings, discard)
    try:
        yield gold
    finally:
        if gold.opened is not None:
            gold.opened.close()
