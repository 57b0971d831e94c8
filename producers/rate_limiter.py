"""Limit sending to a steady rate, in ticks of 40 ms."""

import time
from collections.abc import Callable

_TICK = 0.04
_MAX_BACKLOG_SECONDS = 1.0  # a longer pause is not compensated, to avoid a burst


class RateLimiter:
    """Permits `rate` records a second, counted from the first call."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"expected a rate above 0 records a second, found {rate}")
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._origin: float | None = None
        self._permitted = 0

    def wait(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Wait until at least one record is due and return how many are. Returns 0 only after `stop()` is true."""
        if self._origin is None:
            self._origin = self._clock() - _TICK
        while not stop():
            now = self._clock()
            behind = now - self._origin - self._permitted / self._rate
            if behind > _MAX_BACKLOG_SECONDS:
                self._origin += behind - _MAX_BACKLOG_SECONDS
            due = int((now - self._origin) * self._rate + 1e-6) - self._permitted
            if due > 0:
                self._permitted += due
                return due
            self._sleep(min(max(_TICK, 1 / self._rate), 0.5))
        return 0
