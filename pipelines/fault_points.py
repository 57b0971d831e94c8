"""Fault points: named places where a test can kill or pause the process. They do nothing unless a variable is set.

`ANIMEVERSE_FAULT=<name>[:<nth>]` ends the process with SIGKILL when it reaches the point for the nth time (default: the
first). `ANIMEVERSE_FAULT_PAUSE=<name>:<file>` creates `<file>.reached` there and waits while `<file>` exists.
"""

import os
import signal
import time
from pathlib import Path

_KILL = os.environ.get("ANIMEVERSE_FAULT")
_PAUSE = os.environ.get("ANIMEVERSE_FAULT_PAUSE")

if _KILL or _PAUSE:
    _name, _, _nth = (_KILL or "").partition(":")
    _left = int(_nth or 1)
    _pause_name, _, _pause_file = (_PAUSE or "").partition(":")

    def fault_point(name: str) -> None:
        """Kill the process or wait, if the environment names this point."""
        global _left
        if name == _name:
            _left -= 1
            if _left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if name == _pause_name and Path(_pause_file).exists():
            Path(f"{_pause_file}.reached").touch()
            while Path(_pause_file).exists():
                time.sleep(0.01)

else:

    def fault_point(name: str) -> None:
        """Do nothing: no variable is set."""
