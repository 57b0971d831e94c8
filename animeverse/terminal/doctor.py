"""How `animeverse doctor` looks: one line a check, and below it how to mend what is not fine."""

from collections.abc import Sequence

from rich.markup import escape

from animeverse.terminal import console
from pipelines.operations.doctor_finding import Finding

_MARKS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}


def print_findings(findings: Sequence[Finding]) -> None:
    """Every finding with its verdict, then how many are not fine; on stdout."""
    for of in findings:
        mend = f" -> {escape(of.mend)}" if of.mend else ""
        console.put(f"{_MARKS[of.status]}  {escape(of.name)}: [dim]{escape(of.detail)}[/dim]{mend}")
    failed, warned = (sum(of.status == status for of in findings) for status in ("fail", "warn"))
    if failed or warned:
        console.put(f"{len(findings)} checks: {failed} failed, {warned} to look at")
    else:
        console.put(f"all {len(findings)} checks are fine")
