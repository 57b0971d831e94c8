"""The micro-batch loop as a long-running job that hands the home over to other writers and reports its state."""

import threading
import time
from collections import deque
from collections.abc import Callable

from animeverse.services.run import run_layers
from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, RetryableError
from pipelines.microbatch.handover import Ended, run_until_succeeded
from pipelines.microbatch.report import LAYERS, Progress, RunReport
from pipelines.operations.status import status

WRITER_TIMEOUT = 60.0  # seconds to wait for a writer that does not hand over
_LARGE_BACKLOG = 20_000  # records from which on catching up gets a progress bar
_MAX_PENDING = 1_000


class Loop:
    """Runs all layers for a bounded time. Call `work` in a thread; the other members may be used meanwhile."""

    def __init__(self, settings: Settings, seconds: float, say: Callable[[str], None]) -> None:
        self._settings, self._say, self._deadline = settings, say, time.monotonic() + seconds
        self.home = settings.home
        self.reports: list[RunReport] = []
        self.done = dict.fromkeys(LAYERS, 0)  # records; for gold, refreshes
        self.backlog: int | None = None  # records to catch up with; None while following
        self._pending: deque[tuple[float, int]] = deque()  # (time, records read) of reads that gold does not reflect
        self._done_before = dict.fromkeys(LAYERS, 0)
        self._stop = threading.Event()

    def work(self, stop: threading.Event) -> Ended:
        """Run until the time is over, `stop` is set, or a successor asks for the home.

        Raises AlreadyRunningError while a writer that does not hand over holds the home, and other LakehouseErrors of
        the loop.
        """
        self._stop = stop
        if self._lag() > _LARGE_BACKLOG:
            try:
                ended = self._hand_over(self._catch_up, stop)
            except RetryableError as error:  # the loop that follows retries it without end
                self._say(str(error))
                ended = Ended.DONE
            self.backlog = None
            if ended is not Ended.DONE:
                return ended
        return self._hand_over(self._follow, stop)

    def _hand_over(self, work: Callable[[threading.Event], None], stop: threading.Event) -> Ended:
        seconds = max(0.0, self._deadline - time.monotonic())
        return run_until_succeeded(self.home, work, seconds=seconds, timeout=WRITER_TIMEOUT, stop=stop)

    def end(self) -> None:
        """End after the round in progress."""
        self._stop.set()

    def percent(self) -> float | None:
        """Return the share of the backlog that has a verdict, or None without a backlog."""
        return min(99.9, 100 * self.done["silver"] / self.backlog) if self.backlog else None

    def staleness(self) -> float:
        """Return the seconds since the oldest record was read that gold does not reflect; 0 without such a record."""
        try:
            return time.monotonic() - self._pending[0][0]
        except IndexError:
            return 0.0

    def _lag(self) -> int:
        """Return the number of records in the log that bronze does not have."""
        try:
            return sum(topic.lag or 0 for topic in status(self._settings).topics.values())
        except NoLakehouseError:
            return _LARGE_BACKLOG + 1

    def _catch_up(self, halt: threading.Event) -> None:
        self._run(halt, follow=False)

    def _follow(self, halt: threading.Event) -> None:
        self._run(halt, follow=True)

    def _run(self, halt: threading.Event, *, follow: bool) -> None:
        self._done_before = dict(self.done)
        self._pending.clear()
        self.reports.append(run_layers(self._settings, LAYERS, follow=follow, stop=halt, progress=self._on_progress))

    def _on_progress(self, progress: Progress) -> None:
        """Note the progress. Called from the threads of the loop, so it must return fast."""
        if progress.note is not None:
            self._say(progress.note)
            return
        self.done[progress.layer] = self._done_before[progress.layer] + progress.done
        if progress.layer == "bronze":
            self.backlog = progress.total
            if len(self._pending) < _MAX_PENDING:
                self._pending.append((time.monotonic(), self.done["bronze"]))
        elif progress.layer == "gold":
            while self._pending and self._pending[0][1] <= self.done["silver"]:
                self._pending.popleft()
