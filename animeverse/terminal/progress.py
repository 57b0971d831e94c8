"""Progress on stderr: bars with rate and remaining time on a terminal, and messages as lines."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from animeverse.terminal import console
from animeverse.terminal.text import visible


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return units per second: the recent rate, or the overall rate once finished."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f}/s" if speed else "", style="dim")


class Bars:
    """Named progress bars; a `Reporter`. All methods may be called from any thread."""

    def __init__(self, progress: RichProgress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def update(self, name: str, done: int, total: int | None = None) -> None:
        """Set how much of `name` is done. A new name gets a bar of its own."""
        if self._progress is None:
            return
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total)
            self._progress.update(self._tasks[name], completed=done, total=total)

    def say(self, message: str) -> None:
        """Print a message above the bars, or as a line on stderr."""
        if self._progress is None:
            console.say(message)
        else:
            self._progress.console.print(visible(message), markup=False, highlight=False)


@contextmanager
def bars() -> Iterator[Bars]:
    """Show bars during the block; none if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield Bars(None)
        return
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=console.err()) as progress:
        yield Bars(progress)
