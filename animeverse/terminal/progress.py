"""Progress on stderr: bars with rates and remaining time where a person looks, and lines that are read anywhere."""

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


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Units a second over the last moments, or over all once finished."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f}/s" if speed else "", style="dim")


class Bars:
    """Named bars. `update` may be called from any thread."""

    def __init__(self, drawn: RichProgress | None) -> None:
        self._drawn = drawn
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def update(self, name: str, done: int, total: int | None = None) -> None:
        """How far `name` is; a name not seen before gets a bar of its own."""
        if self._drawn is None:
            return
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._drawn.add_task(name, total=total)
            self._drawn.update(self._tasks[name], completed=done, total=total)

    def say(self, message: str) -> None:
        """A line above the bars, or plainly on stderr."""
        if self._drawn is None:
            console.say(message)
        else:
            self._drawn.console.print(message, markup=False, highlight=False)


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars for the time of the block; none where stderr is no terminal."""
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
    with RichProgress(*columns, console=console.err()) as drawn:
        yield Bars(drawn)
