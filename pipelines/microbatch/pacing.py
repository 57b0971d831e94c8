"""When to read the log again, so that a record is in gold within the freshness target, and in no smaller batches.

A round (log -> bronze -> silver) and a refresh of gold overlap, and every one has a fixed cost, so reading as often as
can be only takes time from gold. What a round brings waits for the refresh under way; so a round begins when it will
end with that one. Where both together take less than the target, there is time for larger and fewer batches.
"""

import time

_SHARE = 0.65  # of the target is planned with, as some rounds and refreshes take longer than they mostly do
_NEWEST = 0.3  # weight of the newest measurement
_MOST = 2.0  # seconds between two rounds, whatever was measured, unless the target asks for more


class BatchPacer:
    """Measured times of rounds and refreshes, in seconds. Each is noted by one thread; any may ask how long to wait."""

    def __init__(self, target: float) -> None:
        self._target = target * _SHARE
        self._round = self._refresh = 0.0
        self._refresh_at = time.monotonic()  # when the last refresh began

    def round_took(self, seconds: float) -> None:
        """A round is over."""
        self._round = _mixed(self._round, seconds)

    def refresh_began(self) -> None:
        """A refresh begins."""
        self._refresh_at = time.monotonic()

    def refresh_took(self, seconds: float) -> None:
        """A refresh is over."""
        self._refresh = _mixed(self._refresh, seconds)

    def wait(self, *, is_waiting: bool) -> float:
        """Seconds until the next round should begin; `is_waiting`: rows wait for the refresh under way to end."""
        refresh = self._refresh
        begins = self._refresh_at + (refresh if is_waiting else 0.0)  # the refresh that takes the last round
        apart = min(max(refresh, self._target - self._round - refresh), max(_MOST, self._target))
        return max(0.0, begins + apart - self._round - time.monotonic())


def _mixed(before: float, newest: float) -> float:
    return newest if before == 0.0 else before + _NEWEST * (newest - before)
