"""Draw the chart of the documentation as SVG: catch-up and freshness compared with Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Result

FILE = Path(__file__).parents[1] / "docs" / "benchmarks.svg"
_WIDTH, _LEFT, _BAR, _ROW, _HEAD = 820, 250, 18, 30, 44
_OURS, _SPARK, _INK = "#2f6f8f", "#c9a227", "#333"


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from zero to `most`, with a mark at `least`."""

    label: str
    least: float
    most: float
    is_spark: bool = False


def panel(title: str, unit: str, bars: Sequence[Bar], top: int) -> list[str]:
    """Return the SVG elements of a group of bars on one scale."""
    scale = (_WIDTH - _LEFT - 150) / max(bar.most for bar in bars)
    parts = [f'<text x="10" y="{top + 20}" font-weight="bold">{title}</text>']
    for row, bar in enumerate(bars):
        y = top + _HEAD - 10 + row * _ROW
        width, mark = max(2, bar.most * scale), _LEFT + bar.least * scale
        colour = _SPARK if bar.is_spark else _OURS
        shown = (
            f"{_short(bar.least)}-{_short(bar.most)} {unit}" if bar.least != bar.most else _short(bar.most) + f" {unit}"
        )
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{bar.label}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.0f}" height="{_BAR}" fill="{colour}" rx="2"/>',
            f'<rect x="{mark:.0f}" y="{y}" width="1" height="{_BAR}" fill="white"/>',
            f'<text x="{_LEFT + width + 6:.0f}" y="{y + 13}">{shown}</text>',
        ]
    return parts


def draw(results: Sequence[Result]) -> str | None:
    """Return the SVG; None if none of its figures was measured."""
    found = {figure.name: figure for result in results for figure in result.figures}

    def bars(names: dict[str, str]) -> list[Bar]:
        values = {label: found[name].values for name, label in names.items() if name in found}
        return [Bar(label, min(of), max(of)) for label, of in values.items()]

    logs = {"embedded": "embedded log", "kafka": "Kafka broker"}
    warm = bars({f"catch_up.sales.{log}.events_per_second": f"AnimeVerse, {name}" for log, name in logs.items()})
    memory = bars({f"catch_up.sales.{log}.peak_gb": f"AnimeVerse, {name}" for log, name in logs.items()})
    fresh = bars({f"freshness.5000.{log}.event_lag_p99": f"AnimeVerse, {name}" for log, name in logs.items()})
    groups = [
        ("Catch-up of 2 M sales, events a second: more is better", "", warm, Bar("Spark, warm", 45_000, 57_700, True)),
        ("Peak memory in it: less is better", "GB", memory, Bar("Spark", 3.2, 5.0, True)),
        ("Event to gold at 5,000 a second, p99: less is better", "s", fresh, Bar("Spark, its best", 2.2, 2.7, True)),
    ]
    parts, top = [], 0
    for title, unit, ours, spark in groups:
        if ours:
            parts += panel(title, unit, [*ours, spark], top)
            top += _HEAD + (len(ours) + 1) * _ROW
    if not parts:
        return None
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
    style = f'font-family="sans-serif" font-size="13" fill="{_INK}">'
    return "\n".join([head + style, f'<rect width="{_WIDTH}" height="{top}" fill="white"/>', *parts, "</svg>", ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
