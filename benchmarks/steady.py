"""A producer at a steady rate: `python -m benchmarks.steady URL PREFIX COUNT RATE BEGIN full|lean`.

Event n is due at BEGIN (microseconds since 1970) + n/RATE seconds, which is its event time and its timestamp. It is
sent in the first 10 ms tick after that. Prints the delay of the acknowledgements as JSON.
"""

import json
import sys
import time

import numpy as np

from benchmarks.corpus import FULL, LEAN, PARTITIONS, TOPIC, outgoing, sales
from benchmarks.logs import LogTarget

_TICK = 0.01
_AHEAD = 20_000  # events generated before they are due, so generation does not delay sending


def main(url: str, prefix: str, count: int, rate: int, begin: int, shape: str) -> None:
    step, worst = 1_000_000 / rate, 0.0
    delays = []
    with LogTarget(url, prefix).opened() as log:
        for start in range(0, count, _AHEAD):
            number = np.arange(start, min(start + _AHEAD, count))
            due = (begin + number * step).astype(np.int64)
            records = outgoing(sales(number, due, LEAN if shape == "lean" else FULL), number % PARTITIONS, due)
            sent = 0
            while sent < len(number):
                ready = int(np.searchsorted(due, time.time() * 1e6, side="right"))
                if ready > sent:
                    log.append(TOPIC, records.slice(sent, ready - sent))
                    worst = max(worst, time.time() - due[sent] / 1e6)
                    delays.append(time.time() - due[ready - 1] / 1e6)
                    sent = ready
                time.sleep(_TICK)
    late = float(np.percentile(delays, 99))
    print(json.dumps({"sent": count, "worst_delay": worst, "p99_delay": late, "ended_at": time.time()}))


if __name__ == "__main__":
    url, prefix, count, rate, begin, shape = sys.argv[1:]
    main(url, prefix, int(count), int(rate), int(begin), shape)
