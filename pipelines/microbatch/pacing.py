"""When to read the log again: in time for the freshness target, and in as few batches as that allows.

A round (log -> bronze -> silver) and a refresh of gold overlap, and each has a fixed cost, so reading more often than
necessary takes time from gold. The rows of a round wait for the refresh under way, so a round is timed to end together
with it. If both together take less than the target, rounds are further apart, with fewer and larger batches.
"""

import time

_SHARE = 0.65  # of the target is planned for, since some rounds and refreshes take longer than most
_NEWEST_WEIGHT = 0.3  # of the newest measurement in the running mean
_MAX_INTERVAL = 2.0  # seconds between two rounds, whatever was measured, unless the target is longer
# Delay between reads of a log without new records, in seconds: (time without records, delay). Measured on two cores:
# 0.05 costs 3.9 % of a core, 0.15 costs 1.5 %; on a machine three times as slow 0.15 costs 6.6 %.
_IDLE_DELAYS = ((1.0, 0.01), (5.0, 0.05), (15.0, 0.15), (float("inf"), 0.4))


def idle_delay(idle_seconds: float) -> float:
    """Seconds until the log should be read again, after this time without records."""
    return next(delay for until, delay in _IDLE_DELAYS if idle_seconds < until)


class BatchPacer:
    """Measured times of rounds and refreshes, in seconds. One thread writes each; any thread may call `wait`."""

    def __init__(self, target: float) -> None:
        self._target = target * _SHARE
        self._round = self._refresh = 0.0
        self._refresh_at = time.monotonic()  # when the last refresh began

    def round_took(self, seconds: float) -> None:
        """Record the duration of a round."""
        self._round = _running_mean(self._round, seconds)

    def refresh_began(self) -> None:
        """Record that a refresh begins now."""
        self._refresh_at = time.monotonic()

    def refresh_took(self, seconds: float) -> None:
        """Record the duration of a refresh."""
        self._refresh = _running_mean(self._refresh, seconds)

    def wait(self, *, is_waiting: bool) -> float:
        """Seconds until the next round should begin. `is_waiting`: rows wait for the refresh under way to end."""
        refresh = self._refresh
        begins = self._refresh_at + (refresh if is_waiting else 0.0)  # the refresh that takes the last round
        interval = min(max(refresh, self._target - self._round - refresh), max(_MAX_INTERVAL, self._target))
        return max(0.0, begins + interval - self._round - time.monotonic())


def _running_mean(before: float, newest: float) -> float:
    return newest if before == 0.0 else before + _NEWEST_WEIGHT * (newest - before)
