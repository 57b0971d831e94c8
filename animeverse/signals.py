"""Ctrl-C and SIGTERM as a request to stop, noticed even while the main thread runs inside a library.

The first signal sets an event, which the work checks between two commits. If the work has not ended shortly after, the
process ends. Every commit is atomic, so nothing is lost and the next run continues.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOP_TIMEOUT = 0.8  # seconds from the signal to the end of the process


@contextmanager
def stop_on_signals(message: str, exit_code: int = 0) -> Iterator[threading.Event]:
    """Yield an event that the first signal sets. The signal also prints `message` on stderr.

    A process that does not end within 0.8 s exits with `exit_code`. For the main thread only.
    """
    stop, finished = threading.Event(), threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        # Python's C signal handler writes the number to the pipe, whatever the interrupted thread is doing.
        while any(number in _SIGNALS for number in os.read(reader, 1)):
            if not stop.is_set():
                stop.set()
                os.write(sys.stderr.fileno(), f"\n{message}\n".encode())
                if not finished.wait(_STOP_TIMEOUT):
                    os._exit(exit_code)

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Do nothing: the watcher thread handles the signal."""

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    handlers = {number: signal.signal(number, ignore) for number in _SIGNALS}
    wakeup_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield stop
    except KeyboardInterrupt:  # Polars has a SIGINT handler of its own, which raises it out of a running query
        sys.exit(exit_code)
    finally:
        finished.set()
        signal.set_wakeup_fd(wakeup_fd)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.write(writer, b"\0")
        watcher.join()
        os.close(reader)
        os.close(writer)
