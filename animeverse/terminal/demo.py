"""Prints the demo: numbers, checks, time by step, and commands to try next."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from animeverse.services.query import Session
from animeverse.terminal import console
from animeverse.terminal.checks import print_checks
from animeverse.terminal.console import escape
from animeverse.terminal.progress import Bars, bars
from animeverse.terminal.summary import print_summary
from pipelines.config.settings import Settings
from pipelines.microbatch.report import RunReport
from pipelines.operations.check import Check

_NEXT_COMMANDS = (
    'query "from marts.title_performance limit 10"',
    'query "select topic, reasons, detail from silver.quarantine limit 10"',
    "run all --follow",
)


@dataclass(slots=True)
class Steps:
    """The seconds that each step took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Bars]:
        """Announce a step, yield its progress bars, and record its time."""
        console.say(f"{name} ...")
        began = time.perf_counter()
        with bars() as progress:
            yield progress
        self.seconds[name] = time.perf_counter() - began

    def add_layers(self, report: RunReport) -> None:
        """Record the times of a run's own steps."""
        self.seconds |= {f"  {name}": seconds for name, seconds in report.seconds.items()}


def print_demo(settings: Settings, checks: Sequence[Check], steps: Steps) -> bool:
    """Print the demo on stdout. Returns whether the conservation law and all checks hold."""
    with Session(settings) as session:
        is_balanced = print_summary(session, settings.currency)
    failed = [check for check in checks if not check.ok]
    if failed:
        print_checks(failed)
    else:
        console.put(f"all {len(checks)} checks of `animeverse verify` hold")
    console.put("\n[bold]Time by step[/bold] [dim](the layers overlap)[/dim]")
    for name, seconds in steps.seconds.items():
        console.put(f"{name:<20}{console.seconds(seconds):>8}")
    console.put("\n[bold]Three things to try next[/bold]")
    for command in _NEXT_COMMANDS:
        console.put(f"  {_executable()} {escape(command)}")
    return is_balanced and not failed


def _executable() -> str:
    """Return how to call `animeverse` from the current folder."""
    script = Path(sys.executable).parent / "animeverse"
    if shutil.which("animeverse") == str(script):
        return "animeverse"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)
