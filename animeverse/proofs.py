"""How `verify` looks: one line a check."""

from collections.abc import Sequence

from rich.markup import escape

from animeverse import console
from pipelines.verify import Check


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
