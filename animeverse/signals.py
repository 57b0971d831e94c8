"""Ctrl-C and SIGTERM as a wish to stop, heard at once even while the main thread is deep in a library.

The first signal sets an event; who works looks at it between two commits. What is not done a moment later ends with
the process: every commit is atomic, so nothing is lost and the next run goes on from there.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 0.8  # seconds from the signal to the end of the process; a person waits a second


@contextmanager
def stop_on_signals(message: str, exit_code: int = 0) -> Iterator[threading.Event]:
    """The event that the first signal sets; `message` then tells on stderr what happens. Main thread only.

    `exit_code` is that of a process that did not get done in time.
    """
    stop, over = threading.Event(), threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        # The C part of a signal's handling writes to the pipe from whatever thread it hits, whatever that thread does.
        while any(number in _SIGNALS for number in os.read(reading, 1)):
            if not stop.is_set():
                stop.set()
                os.write(sys.stderr.fileno(), f"\n{message}\n".encode())
                if not over.wait(_PATIENCE):
                    os._exit(exit_code)

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Python's part: nothing, the watcher has it."""

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    before = {number: signal.signal(number, ignore) for number in _SIGNALS}
    old = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(writing, b"\0")
        watcher.join()
        os.close(reading)
        os.close(writing)
