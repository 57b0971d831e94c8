"""Whether a Prefect server and its worker still do what they are there for. Both can live and do nothing."""

import time
from collections.abc import Callable, Collection

from pipelines.errors import LakehouseError

_LOOK_EVERY = 10.0  # seconds
_PATIENCE, _MOST_PATIENCE = 60.0, 1800.0  # seconds that a run may be due; each time that it did not help, twice as long
_SILENCE = "no answer"


class Watchdog:
    """Looks now and then at what is due. `due` returns the runs that a worker is to start by now, or raises a
    LakehouseError when the server does not tell, which counts with `minds_silence`; `clock` is in seconds and does not
    count those that the machine slept. Where some of what was due is not any more, there is progress, and all is well.
    """

    def __init__(
        self,
        due: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
        *,
        minds_silence: bool = True,
    ) -> None:
        self._due, self._clock, self._minds_silence = due, clock, minds_silence
        self._since: dict[str, float] = {}
        self._patience = _PATIENCE
        self._next_look = clock() + _LOOK_EVERY

    def problem(self) -> str:
        """What has been waiting for too long, in words; empty when all is well. Then the wait begins anew."""
        began = self._clock()
        if began < self._next_look:
            return ""
        try:
            waiting = set(self._due())
        except LakehouseError:
            waiting = {*self._since, _SILENCE} if self._minds_silence else set(self._since)
        now = self._clock()
        self._next_look = now + _LOOK_EVERY
        if not waiting or self._since.keys() - waiting - {_SILENCE}:
            self._since, self._patience = {}, _PATIENCE
        self._since = {one: self._since.get(one, began) for one in waiting}
        late = [one for one, since in self._since.items() if now - since >= self._patience]
        if not late:
            return ""
        told = f"{_SILENCE if late == [_SILENCE] else 'a run is due and not started'} for {self._patience:.0f} s"
        self._since, self._patience = {}, min(2 * self._patience, _MOST_PATIENCE)
        return told
