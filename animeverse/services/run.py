"""Run layers of the pipeline with the warehouse attached."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext

from animeverse.services.reporter import SILENT, Reporter
from pipelines.clock import utc_now
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.loop import run as run_loop
from pipelines.microbatch.report import LAYERS, Progress, RunReport
from warehouse.writer import Warehouse

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
    new: bool = False,
) -> tuple[RunReport, float]:
    """Run one layer, or `all` of them.

    Returns the report and the elapsed seconds. With `discard_gold`, gold is rebuilt from all of silver; with
    `new`, a lake whose catalog was lost is kept aside and a new one begins.
    """
    layers = LAYERS if layer == "all" else (layer,)
    began = time.perf_counter()
    with _existing_objects_frozen():
        report = run_layers(
            settings,
            layers,
            follow=follow,
            stop=stop,
            progress=_forward_to(reporter),
            discard_gold=discard_gold,
            new=new,
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
    new: bool = False,
) -> RunReport:
    """Run the micro-batch loop over these layers, and close gold at the end.

    `progress` is called from the threads of the loop.
    """
    with _gold_writer(settings, discard_gold) if "gold" in layers else nullcontext() as gold:
        return run_loop(
            settings, layers, follow=follow, gold=gold, clock=utc_now, progress=progress, stop=stop, new=new
        )


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


@contextmanager
def _gold_writer(settings: Settings, discard: bool) -> Iterator[Callable[[], Warehouse]]:
    """A function that opens the warehouse, for the loop, which holds the home's lock when it calls it.

    The end of the block closes the warehouse.
    """
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(_open_warehouse(settings, discard)))


def _open_warehouse(settings: Settings, discard: bool) -> Warehouse:
    # The previous writer releases the home's lock before it closes gold.
    deadline = time.monotonic() + _CLOSE_TIMEOUT
    while True:
        try:
            # A rebuild is also the last refresh of its run, so it defers nothing.
            return Warehouse(
                settings.published_path.parent,
                max_deferral_seconds=0.0 if discard else _DEFERRAL,
                discard_existing=discard,
            )
        except AlreadyRunningError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_INTERVAL)
