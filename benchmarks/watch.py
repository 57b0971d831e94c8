"""Record when events become visible to readers: opens the published file each time it is replaced."""

import time
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from benchmarks.corpus import PARTITIONS, numbers_of
from benchmarks.score import PUBLISHED

_LOOK_EVERY = 0.004  # seconds between checks of the file


class Watch:
    """Follows events 0, 1, 2, … of partition `number % 4` as they appear in gold.

    An event is visible when it and all events before it in its partition are. The time is when the reader has the
    answer, so the lag includes opening and querying the file.
    """

    def __init__(self, home: Path, capacity: int) -> None:
        self._file = home / PUBLISHED
        self._seen = np.zeros(capacity, bool)
        self._prefix = [0] * PARTITIONS  # events of each partition that are visible
        self.visible_at: npt.NDArray[np.float64] = np.full(capacity, np.inf)
        self.looks = 0
        self._version: tuple[int, int] | None = None

    def wait_for_file(self, timeout: float) -> None:
        """Wait until the published file exists. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not self._file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing is published after {timeout:.0f} s")
            time.sleep(0.02)

    def look(self) -> bool:
        """Check the file once and return whether it was replaced. Sleeps briefly if it was not."""
        status = self._file.stat()
        version = (status.st_ino, status.st_mtime_ns)
        if version == self._version:
            time.sleep(_LOOK_EVERY)
            return False
        self._version = version
        self._take(self._new_numbers())
        return True

    def until(self, number: int, deadline: float) -> bool:
        """Check until `number` events are visible. Returns False if the deadline (seconds since 1970) passes."""
        while self.count < number:
            if time.time() > deadline:
                return False
            self.look()
        return True

    @property
    def count(self) -> int:
        """Number of visible events."""
        return sum(self._prefix)

    def _new_numbers(self) -> npt.NDArray[np.int64]:
        # Later events have later times, and row groups have time bounds: the query reads only new rows.
        since = min(prefix * PARTITIONS + partition for partition, prefix in enumerate(self._prefix))
        with closing(duckdb.connect(str(self._file), read_only=True, config={"threads": 1})) as connection:
            rows = connection.sql(
                "select event_id from gold.fct_sales where line_number = 1 and event_time >= make_timestamptz($since)",
                params={"since": self.time_of(since)},
            ).to_arrow_table()
        return numbers_of(rows["event_id"])

    def time_of(self, number: int) -> int:
        """Return the event time of an event in microseconds. Requires `follow_rate`."""
        return self._first + number * self._step

    def follow_rate(self, first: int, step: int) -> None:
        """Set the event time of event 0 and the step between events, in microseconds."""
        self._first, self._step = first, step

    def _take(self, numbers: npt.NDArray[np.int64]) -> None:
        now = time.time()
        self.looks += 1
        self._seen[numbers] = True
        for partition in range(PARTITIONS):
            mine = self._seen[partition::PARTITIONS]
            begin = self._prefix[partition]
            gaps = np.flatnonzero(~mine[begin:])
            end = begin + int(gaps[0]) if len(gaps) else len(mine)
            self.visible_at[partition::PARTITIONS][begin:end] = now
            self._prefix[partition] = end
