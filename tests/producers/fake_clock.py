"""A clock that advances only by its own `sleep`, and a `stop` that counts its calls."""

from collections.abc import Callable


class Clock:
    """Seconds that pass only during `sleep`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def stop_after(calls: int) -> Callable[[], bool]:
    """Return a `stop` that becomes true after this number of calls."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop
