"""Prints the results of `verify` and `resume`."""

from collections.abc import Sequence

from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.operations.check import Check
from pipelines.operations.resume import Resumed


def print_checks(checks: Sequence[Check]) -> None:
    """Print one line per check, then the number of failed checks, on stdout."""
    for check in checks:
        mark = "[green]ok  [/green]" if check.ok else "[red]FAIL[/red]"
        detail = f"  [dim]{escape(check.detail)}[/dim]" if check.detail else ""
        console.put(f"{mark}  {escape(check.name)}{detail}")
    failed = [check for check in checks if not check.ok]
    if failed:
        console.put(f"[red]{len(failed)} of {len(checks)} checks failed[/red]")
    else:
        console.put(f"all {len(checks)} checks hold")


def print_resumed(topics: Sequence[Resumed]) -> None:
    """Print the gaps of each topic and the offsets where the next run continues, on stdout."""
    for resumed in topics:
        topic = escape(resumed.topic)
        if not resumed.gaps:
            console.put(f"{topic}: the topic is intact, and `animeverse run` continues reading it")
            continue
        for gap in resumed.gaps:
            end = "on" if gap.offset_to is None else f"to {gap.offset_to}"
            lost = (
                "the number of lost records is unknown"
                if gap.records_lost is None
                else f"{gap.records_lost:,} records lost"
            )
            offsets = f"partition {gap.partition}, from offset {gap.offset_from} {end}"
            console.put(f"{topic}: {gap.cause.replace('_', ' ')}, {offsets}: {lost}")
        positions = ", ".join(f"{partition}/{offset}" for partition, offset in sorted(resumed.reads_on.items()))
        console.put(f"{topic}: the next `animeverse run` continues at partition/offset {positions}")
