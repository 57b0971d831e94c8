"""Output with Rich: data on stdout, messages on stderr, and numbers in units that people read."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape as _escape_markup
from rich.table import Table

from animeverse.terminal.text import visible

_UNLIMITED_WIDTH = 10_000  # outside a terminal nothing is truncated


def escape(text: str) -> str:
    """Text from outside, for use in Rich markup: neither markup nor control characters take effect."""
    return _escape_markup(visible(text))


def out() -> Console:
    """Return a console on stdout, for the result of a command."""
    width = None if sys.stdout.isatty() else _UNLIMITED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False, emoji=False)


def put(renderable: RenderableType = "") -> None:
    """Print on stdout. Outside a terminal, trailing spaces are removed."""
    if sys.stdout.isatty():
        out().print(renderable)
        return
    console = out()
    with console.capture() as captured:
        console.print(renderable)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def err() -> Console:
    """Return a console on stderr, for progress and messages."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True, emoji=False)


def say(message: str) -> None:
    """Print a message on stderr."""
    err().print(escape(message))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, right: Iterable[int] = ()
) -> Table:
    """Return a table of plain text; `right` are the indices of right-aligned columns."""
    right_aligned = set(right)
    result = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for index, head in enumerate(heads):
        result.add_column(escape(head), justify="right" if index in right_aligned else "left", overflow="fold")
    for row in rows:
        result.add_row(*(escape(str(cell)) for cell in row))
    return result


def count(number: int) -> str:
    """Format an integer with thousands separators."""
    return f"{number:,}"


def seconds(duration: float) -> str:
    """Format a duration in seconds as ms, s or min."""
    if duration < 0.9995:
        return f"{duration * 1000:.0f} ms"
    return f"{duration:.1f} s" if duration < 120 else f"{duration / 60:.1f} min"


def size(number_of_bytes: int) -> str:
    """Format a number of bytes with a decimal unit."""
    amount = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def bar(value: float, largest: float, width: int) -> str:
    """Draw a bar in eighths of a character; the largest value is `width` characters long."""
    if largest <= 0 or value <= 0:
        return ""
    eighths = round(value / largest * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
