"""Prints the findings of `doctor`: one line per check, with the fix where there is a problem."""

from collections.abc import Sequence

from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.operations.doctor_finding import Finding

_MARKS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}


def print_findings(findings: Sequence[Finding]) -> None:
    """Print every finding, then the number of problems, on stdout."""
    for finding in findings:
        fix = f" -> {escape(finding.fix)}" if finding.fix else ""
        console.put(f"{_MARKS[finding.status]}  {escape(finding.name)}: [dim]{escape(finding.detail)}[/dim]{fix}")
    failed, warned = (sum(finding.status == status for finding in findings) for status in ("fail", "warn"))
    if failed or warned:
        console.put(f"{len(findings)} checks: {failed} failed, {warned} warnings")
    else:
        console.put(f"all {len(findings)} checks are fine")
