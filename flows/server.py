"""`python -m flows.server`: `prefect server start` with garbage collection in a thread of its own.

Garbage may contain SQLite cursors of statements that failed because the database was locked. Finalizing such a cursor
waits for the connection's mutex, which another thread holds while it waits up to a minute for SQLite's lock. The
holder of that lock may in turn wait for the event loop. A collection in the event loop's thread therefore blocks the
server; in a thread of its own it blocks nothing (docs/prefect.md).
"""

import gc
import sys
import threading
import time

INTERVAL, FULL_EVERY = 5.0, 12  # seconds between collections; every 12th is a full one
THREAD = "garbage collection"


def collect_in_thread() -> None:
    """Collect garbage only in a thread of its own from now on. Existing objects are never collected."""
    gc.disable()
    gc.freeze()
    threading.Thread(target=_collect, name=THREAD, daemon=True).start()


def _collect() -> None:
    rounds = 0
    while True:
        time.sleep(INTERVAL)
        rounds += 1
        gc.collect(2 if rounds % FULL_EVERY == 0 else 1)


if __name__ == "__main__":
    import prefect.server.api.server  # noqa: F401  the command imports it when it runs
    from prefect.cli import app

    collect_in_thread()
    sys.argv[1:] = ["server", "start", *sys.argv[1:]]
    app()
