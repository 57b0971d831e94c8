"""How things look in a terminal: data on stdout, all else on stderr. Rich draws; numbers come in as they are."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

_WIDE = 10_000  # where nobody looks at the width, nothing is cut


def out() -> Console:
    """Stdout: what a command is asked for."""
    wide = None if sys.stdout.isatty() else _WIDE
    return Console(file=sys.stdout, width=wide, highlight=False, soft_wrap=False, emoji=False)


def put(drawn: RenderableType = "") -> None:
    """Print on stdout; without the blanks at line ends where it is no terminal."""
    if sys.stdout.isatty():
        out().print(drawn)
        return
    console = out()
    with console.capture() as captured:
        console.print(drawn)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def err() -> Console:
    """Stderr: progress and messages."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True, emoji=False)


def say(message: str) -> None:
    """A message for a person, on stderr."""
    err().print(escape(message))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, right: Iterable[int] = ()
) -> Table:
    """A table of plain texts; `right` are the columns of numbers."""
    numbers = set(right)
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for index, head in enumerate(heads):
        drawn.add_column(escape(head), justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    return drawn


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def seconds(duration: float) -> str:
    """A duration as short as it is still useful."""
    if duration < 0.9995:
        return f"{duration * 1000:.0f} ms"
    return f"{duration:.1f} s" if duration < 120 else f"{duration / 60:.1f} min"


def size(number_of_bytes: int) -> str:
    """Bytes in the unit people read."""
    amount = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def bar(value: float, largest: float, width: int) -> str:
    """A bar of eighths of a character, `width` long for the largest value."""
    if largest <= 0 or value <= 0:
        return ""
    eighths = round(value / largest * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
