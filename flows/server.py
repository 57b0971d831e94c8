"""`python -m flows.server`: what `prefect server start` starts, but for where Python collects garbage.

Collected where it falls due, in the event loop's thread, the garbage may hold cursors of statements that failed since
SQLite was locked. Their end waits for the connection's mutex, which its thread holds for as long as it waits for
SQLite's lock, a minute at most, and who has that lock waits for the event loop. In a thread of its own the collection
may wait, and nobody waits for it (docs/prefect.md).
"""

import gc
import sys
import threading
import time

_YOUNG_EVERY, _ALL_EVERY = 5.0, 12  # seconds; of so many collections of young objects one is of all
THREAD = "garbage collection"


def collect_beside() -> None:
    """From now on, garbage is collected in a thread of its own and nowhere else in this process. What is there by now,
    modules, stays and is not looked at again.
    """
    gc.disable()
    gc.freeze()
    threading.Thread(target=_collect, name=THREAD, daemon=True).start()


def _collect() -> None:
    rounds = 0
    while True:
        time.sleep(_YOUNG_EVERY)
        rounds += 1
        gc.collect(2 if rounds % _ALL_EVERY == 0 else 1)


if __name__ == "__main__":
    import prefect.server.api.server  # noqa: F401  what the command imports when it runs
    from prefect.cli import app

    collect_beside()
    sys.argv[1:] = ["server", "start", *sys.argv[1:]]
    app()
