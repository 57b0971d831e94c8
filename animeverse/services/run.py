"""`animeverse run`: the micro-batch loop with its progress shown and its report printed."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime

from animeverse.terminal.progress import bars
from animeverse.terminal.run_report import show
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.loop import run as run_layers
from pipelines.microbatch.report import LAYERS, RunReport
from warehouse.writer import Warehouse

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


@contextmanager
def gold_writer(settings: Settings, *, anew: bool = False) -> Iterator[Callable[[], Warehouse]]:
    """A function that opens the warehouse, for `pipelines.microbatch.loop.run`, which holds the home's lock by then.

    The block's end closes it.
    """
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(_open_warehouse(settings, anew)))


def _open_warehouse(settings: Settings, anew: bool) -> Warehouse:
    # The previous holder of the home's lock releases it before it has closed gold.
    until = time.monotonic() + _CLOSING
    while True:
        try:
            # a refresh of everything is the last one, so it defers nothing
            return Warehouse(settings.published_path.parent, patience=0.0 if anew else _PATIENCE, anew=anew)
        except AlreadyRunningError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_EVERY)
