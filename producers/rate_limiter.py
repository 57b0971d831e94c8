"""A steady rate: how many records may go now, in ticks of 40 ms, never in bursts."""

import time
from collections.abc import Callable

_TICK = 0.04
_MOST_BEHIND = 1.0  # seconds that are made up for; what a longer pause missed is not sent all at once


class RateLimiter:
    """Hands out records at `rate` a second, counted from the first call on."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"a rate is above 0 records a second, found {rate}")
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._origin: float | None = None
        self._given = 0

    def wait(self, stop: Callable[[], bool] = lambda: False) -> int:
        """How many records are due now; waits until it is at least one. 0 only when `stop` says so."""
        if self._origin is None:
            self._origin = self._clock() - _TICK
        while not stop():
            now = self._clock()
            behind = now - self._origin - self._given / self._rate
            if behind > _MOST_BEHIND:
                self._origin += behind - _MOST_BEHIND
            due = int((now - self._origin) * self._rate + 1e-6) - self._given
            if due > 0:
                self._given += due
                return due
            self._sleep(min(max(_TICK, 1 / self._rate), 0.5))
        return 0
