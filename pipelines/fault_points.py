"""Fault points: named places where a test can kill or pause the process. Absent from the work when not asked for.

`ANIMEVERSE_FAULT=<name>[:<nth>]` ends the process with SIGKILL at the nth time (default first) the place is passed;
`ANIMEVERSE_FAULT_PAUSE=<name>:<file>` waits there as long as the file exists, and makes `<file>.reached` to say so.
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
        """Die or wait here if the environment says so."""
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
        """Nothing: no fault was asked for."""
