"""Write the tables of README.md between their markers, from the saved results."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.goals import GOALS
from benchmarks.results import Figure, Result

README = Path(__file__).parent / "README.md"


def goals_table(results: Iterable[Result]) -> str:
    """Return the table of goals with minimum / median / maximum of each figure.

    The verdict applies to the median. There is none if the measured size is smaller than the goal's.
    """
    found = {figure.name: (figure, result.options) for result in results for figure in result.figures}
    lines = ["| measure | must | aim | measured (min / median / max) | reached |", "| --- | --- | --- | --- | --- |"]
    for goal in GOALS:
        measured = verdict = ""
        if goal.figure in found:
            figure, options = found[goal.figure]
            smaller = goal.smaller(options)
            measured = _range(figure) + (f", {smaller}" if smaller else "")
            verdict = "" if smaller else goal.verdict(figure.median)
        must, aim = goal.bound(goal.must), goal.bound(goal.aim)
        lines.append(f"| {goal.measure} | {must} | {aim} | {measured} | {verdict} |")
    return "\n".join(lines)


def figures_table(results: Iterable[Result]) -> str:
    """Return the table of all figures, and the reasons why a result is invalid."""
    lines = ["| figure | unit | minimum | median | maximum |", "| --- | --- | ---: | ---: | ---: |"]
    faults = []
    for result in results:
        faults += [f"- invalid: {fault}" for fault in result.faults]
        for figure in result.figures:
            shown = " | ".join(_number(value) for value in (min(figure.values), figure.median, max(figure.values)))
            lines.append(f"| {figure.name} | {figure.unit} | {shown} |")
    return "\n".join([*lines, *([""] if faults else []), *faults])


def machines(results: Iterable[Result]) -> str:
    """Return where and when each result was measured."""
    lines = []
    for result in results:
        at, log = result.machine, result.options.get("log", "embedded")
        versions = ", ".join(f"{name} {number}" for name, number in at["versions"].items())
        lines.append(
            f"- {result.benchmark} ({log}): {result.measured_at}, commit {at['commit']}, {at['cpus']} x {at['cpu']}, "
            f"{at['memory_gib']} GiB, {at['system']}, Python {at['python']}, {versions}; "
            f"load before {at['load_before']}{'; **invalid**' if result.faults else ''}"
        )
    return "\n".join(lines)


def write(results: list[Result], file: Path = README) -> None:
    """Replace the three tables in the file."""
    text = file.read_text()
    for name, content in (("goals", goals_table(results)), ("figures", figures_table(results))):
        text = _between(text, name, content)
    file.write_text(_between(text, "machines", machines(results)))


def _between(text: str, name: str, content: str) -> str:
    before, rest = text.split(f"<!-- {name} -->", 1)
    return f"{before}<!-- {name} -->\n{content}\n<!-- end {name} -->{rest.split(f'<!-- end {name} -->', 1)[1]}"


def _range(figure: Figure) -> str:
    values = (min(figure.values), figure.median, max(figure.values))
    return " / ".join(_number(value) for value in values)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
