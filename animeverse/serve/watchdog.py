"""Detects a Prefect server or worker that runs but does no work."""

import time
from collections.abc import Callable, Collection

from pipelines.errors import LakehouseError

_POLL_INTERVAL = 10.0  # seconds
_TIMEOUT, _MAX_TIMEOUT = 60.0, 1800.0  # seconds that a run may be due; doubled after each restart that did not help
_SILENCE = "no answer"


class Watchdog:
    """Polls the runs that are due.

    `due` returns the ids of runs that a worker should start by now, or raises LakehouseError when the server does not
    respond. Silence is a problem unless `minds_silence` is false. There is progress whenever a run is no longer due.
    `clock` returns seconds, without those that the machine slept.
    """

    def __init__(
        self,
        due: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
        *,
        minds_silence: bool = True,
    ) -> None:
        self._due, self._clock, self._minds_silence = due, clock, minds_silence
        self._due_since: dict[str, float] = {}
        self._timeout = _TIMEOUT
        self._next_poll = clock() + _POLL_INTERVAL

    def problem(self) -> str:
        """Return what has been waiting for too long, or an empty text.

        Polls at most every 10 s. After a problem the wait starts again, with twice the timeout.
        """
        began = self._clock()
        if began < self._next_poll:
            return ""
        try:
            waiting = set(self._due())
        except LakehouseError:
            waiting = {*self._due_since, _SILENCE} if self._minds_silence else set(self._due_since)
        now = self._clock()
        self._next_poll = now + _POLL_INTERVAL
        if not waiting or self._due_since.keys() - waiting - {_SILENCE}:
            self._due_since, self._timeout = {}, _TIMEOUT
        self._due_since = {run: self._due_since.get(run, began) for run in waiting}
        overdue = [run for run, since in self._due_since.items() if now - since >= self._timeout]
        if not overdue:
            return ""
        cause = _SILENCE if overdue == [_SILENCE] else "a run is due and not started"
        problem = f"{cause} for {self._timeout:.0f} s"
        self._due_since, self._timeout = {}, min(2 * self._timeout, _MAX_TIMEOUT)
        return problem
