"""All layers at work at once, in turns with other writers of the home, and what is known of it from outside."""

import threading
import time
from collections import deque
from collections.abc import Callable

from animeverse.services.run import gold_writer
from pipelines.clock import utc_now
from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, RetryableError
from pipelines.microbatch.handover import Ended, run_until_succeeded
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import LAYERS, Progress, RunReport
from pipelines.operations.status import status

PATIENCE = 60.0  # seconds to wait for a writer that does not look at the doors
_BACKLOG = 20_000  # records from which on catching up is worth a bar of progress
_MOST_WAITING = 1_000


class Loop:
    """The micro-batch loop for a bounded time. `work` is for a thread; all else may be looked at while it runs."""

    def __init__(self, settings: Settings, seconds: float, say: Callable[[str], None]) -> None:
        self._settings, self._say, self._over = settings, say, time.monotonic() + seconds
        self.home = settings.home
        self.reports: list[RunReport] = []
        self.done = dict.fromkeys(LAYERS, 0)  # records; refreshes of gold
        self.backlog: int | None = None  # records to catch up with; None: it is not catching up
        self._waiting: deque[tuple[float, int]] = deque()  # when how many records had been read, not in gold yet
        self._before = dict.fromkeys(LAYERS, 0)
        self._stop = threading.Event()

    def work(self, stop: threading.Event) -> Ended:
        """Until the time is over or a successor is at the door. Raises LakehouseError; AlreadyRunningError when
        somebody who does not look at the doors writes the home.
        """
        self._stop = stop
        if self._lag() > _BACKLOG:
            try:
                ended = self._in_turns(self._catch_up, stop)
            except RetryableError as error:  # following, it is tried again for as long as it takes
                self._say(str(error))
                ended = Ended.DONE
            self.backlog = None
            if ended is not Ended.DONE:
                return ended
        return self._in_turns(self._follow, stop)

    def _in_turns(self, work: Callable[[threading.Event], None], stop: threading.Event) -> Ended:
        seconds = max(0.0, self._over - time.monotonic())
        return run_until_succeeded(self.home, work, seconds=seconds, timeout=PATIENCE, stop=stop)

    def end(self) -> None:
        """Let it end after the round that is under way."""
        self._stop.set()

    def percent(self) -> float | None:
        """How much of the backlog has got its verdict; None: there is none."""
        return min(99.9, 100 * self.done["silver"] / self.backlog) if self.backlog else None

    def staleness(self) -> float:
        """Seconds since the oldest record was read that gold does not reflect, as far as the layers told."""
        try:
            return time.monotonic() - self._waiting[0][0]
        except IndexError:
            return 0.0

    def _lag(self) -> int:
        """Records in the log that bronze does not have. Looked at before it is our turn: it takes a moment."""
        try:
            return sum(topic.lag or 0 for topic in status(self._settings).topics.values())
        except NoLakehouseError:
            return _BACKLOG + 1

    def _catch_up(self, halt: threading.Event) -> None:
        self._run(halt, follow=False)

    def _follow(self, halt: threading.Event) -> None:
        self._run(halt, follow=True)

    def _run(self, halt: threading.Event, *, follow: bool) -> None:
        self._before = dict(self.done)
        self._waiting.clear()
        with gold_writer(self._settings) as gold:
            report = run(
                self._settings, LAYERS, follow=follow, gold=gold, clock=utc_now, progress=self._told, stop=halt
            )
        self.reports.append(report)

    def _told(self, progress: Progress) -> None:
        """From the threads of the loop: be quick."""
        if progress.note is not None:
            self._say(progress.note)
            return
        self.done[progress.layer] = self._before[progress.layer] + progress.done
        if progress.layer == "bronze":
            self.backlog = progress.total
            if len(self._waiting) < _MOST_WAITING:
                self._waiting.append((time.monotonic(), self.done["bronze"]))
        elif progress.layer == "gold":
            while self._waiting and self._waiting[0][1] <= self.done["silver"]:
                self._waiting.popleft()
