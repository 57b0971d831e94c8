"""How `verify` looks: one line a check; and `resume`: one line a gap."""

from collections.abc import Sequence

from rich.markup import escape

from animeverse.terminal import console
from pipelines.operations.check import Check
from pipelines.operations.resume import Resumed


def print_checks(checks: Sequence[Check]) -> None:
    """Every check with its verdict, then how many failed; on stdout."""
    for check in checks:
        mark = "[green]ok  [/green]" if check.ok else "[red]FAIL[/red]"
        detail = f"  [dim]{escape(check.detail)}[/dim]" if check.detail else ""
        console.put(f"{mark}  {escape(check.name)}{detail}")
    print_verdict(checks)


def print_verdict(checks: Sequence[Check]) -> None:
    """One line: all hold, or how many don't."""
    failed = [check for check in checks if not check.ok]
    if failed:
        console.put(f"[red]{len(failed)} of {len(checks)} checks failed[/red]")
    else:
        console.put(f"all {len(checks)} checks hold")


def print_resumed(found: Sequence[Resumed]) -> None:
    """What each topic lost, and where it reads on; on stdout."""
    for resumed in found:
        if not resumed.gaps:
            console.put(f"{escape(resumed.topic)}: nothing stands in the way; `animeverse run` reads on")
            continue
        for gap in resumed.gaps:
            until = "on" if gap.offset_to is None else f"to {gap.offset_to}"
            lost = "nobody can count what is lost" if gap.records_lost is None else f"{gap.records_lost:,} records lost"
            place = f"partition {gap.partition}, from offset {gap.offset_from} {until}"
            console.put(f"{escape(resumed.topic)}: {gap.cause.replace('_', ' ')}, {place}: {lost}")
        places = ", ".join(f"{partition}/{offset}" for partition, offset in sorted(resumed.reads_on.items()))
        console.put(f"{escape(resumed.topic)}: the next `animeverse run` reads on at partition/offset {places}")
