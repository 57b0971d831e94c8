"""Prints the summary of a lakehouse: rows, verdicts, quarantine reasons, weeks, and the conservation law."""

from dataclasses import dataclass
from decimal import Decimal

from rich.table import Table

from animeverse.services.query import Session
from animeverse.terminal import console

_LEDGER = ("polled", "bronze", "accepted_on_time", "accepted_late", "duplicates", "quarantined")
_HEADS = ("topic", "records", "on time", "late", "duplicates", "quarantined")
_BAR_WIDTH = 24  # characters of the longest bar
_MAX_WEEKS = 10
_MAX_REASONS = 12
_MEANINGS = {
    "conflicting_duplicate": "the event_id of another event, with different content",
    "duplicate_field": "a member name that occurs twice in one object",
    "empty_value": "no bytes, or only white space",
    "future": "event_time is later than the arrival",
    "invalid_json": "not valid JSON",
    "not_an_object": "JSON, but not an object",
    "schema_drift": "a field that the contract does not have",
    "too_late": "older than the allowed lateness",
}
_KINDS = {
    "missing": "is absent, null or blank",
    "type": "has another type",
    "range": "is out of bounds",
    "enum": "is not one of the allowed values",
}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The ledger's counts of one topic, or of all topics."""

    topic: str
    polled: int
    bronze: int
    on_time: int
    late: int
    duplicates: int
    quarantined: int

    @property
    def holds(self) -> bool:
        """Return whether the conservation law holds."""
        return self.polled == self.bronze == self.on_time + self.late + self.duplicates + self.quarantined


def verdicts(session: Session) -> list[Verdicts]:
    """Return the counts by topic, and the sum as the last one."""
    sums = ", ".join(f"sum({column})::bigint" for column in _LEDGER)
    rows = session.run(f"select topic, {sums} from ops.batches group by rollup (topic) order by topic nulls last")
    return [Verdicts(topic or "all", *numbers) for topic, *numbers in rows.rows]


def quarantine_reasons(session: Session) -> list[tuple[str, int]]:
    """Return the records by quarantine reason, most frequent first. A record may have several reasons."""
    counts = session.run(
        "select reason, count(*)::bigint as rows from (select unnest(reasons) as reason from silver.quarantine) "
        "group by reason order by rows desc, reason"
    )
    return [(str(reason), int(rows)) for reason, rows in counts.rows]


def layers(session: Session) -> list[tuple[str, str, int]]:
    """Return layer, name and number of rows of every table of bronze, silver and gold."""
    names = [name for name in session.tables() if name[0] in ("bronze", "silver", "gold")]
    if not names:
        return []
    counts = " union all ".join(
        f"""select '{schema}', '{table}', count(*) from {schema}."{table}\"""" for schema, table in names
    )
    order = ("bronze", "silver", "gold")
    return sorted(
        ((schema, table, int(rows)) for schema, table, rows in session.run(counts).rows),
        key=lambda row: (order.index(row[0]), row[1]),
    )


def print_summary(session: Session, currency: str) -> bool:
    """Print the summary on stdout. Returns whether the conservation law holds."""
    _print_layers(layers(session))
    counts = verdicts(session)
    _print_verdicts(counts)
    _print_reasons(quarantine_reasons(session))
    _print_weeks(session, currency)
    return _print_law(counts)


def _print_layers(tables: list[tuple[str, str, int]]) -> None:
    console.put("\n[bold]Rows by layer[/bold]")
    grid = Table.grid(padding=(0, 2, 0, 0))
    for layer in ("bronze", "silver", "gold"):
        rows = [(table, count) for name, table, count in tables if name == layer]
        total = sum(count for _, count in rows)
        largest = sorted(rows, key=lambda row: (-row[1], row[0]))
        listed = ", ".join(f"{table} {count:,}" for table, count in largest)
        grid.add_row(layer, f"{total:,}", f"[dim]{listed}[/dim]")
    grid.columns[1].justify = "right"
    console.put(grid)


def _print_verdicts(counts: list[Verdicts]) -> None:
    rows = [
        (part.topic, *map(console.count, (part.polled, part.on_time, part.late, part.duplicates, part.quarantined)))
        for part in counts
    ]
    console.put("\n[bold]What became of every record[/bold]")
    console.put(console.table(_HEADS, rows, right=range(1, 6)))


def _print_reasons(reasons: list[tuple[str, int]]) -> None:
    if not reasons:
        return
    console.put("\n[bold]Why records are in quarantine[/bold]")
    rows = [(name, f"{count:,}", rule_meaning(name)) for name, count in reasons[:_MAX_REASONS]]
    console.put(console.table(("rule", "records", ""), rows, right=[1]))
    if len(reasons) > _MAX_REASONS:
        console.put(f"[dim]and {len(reasons) - _MAX_REASONS} more rules[/dim]")


def rule_meaning(rule: str) -> str:
    """Return what a rule (R13) means, in words; empty for an unknown rule."""
    if rule in _MEANINGS:
        return _MEANINGS[rule]
    kind, _, path = rule.partition(":")
    return f"{path} {_KINDS[kind]}" if kind in _KINDS else f"breaks the rule on {path}" if path else ""


def _print_weeks(session: Session, currency: str) -> None:
    """Print revenue and admissions by week, as bars."""
    result = session.run(
        "select iso_week, days, net_sales_amount + ticket_revenue_amount + concession_amount, admissions, is_final "
        f"from marts.weekly_summary order by week_start_date desc limit {_MAX_WEEKS}"
    )
    weeks = list(result.rows)[::-1]
    if not weeks:
        return
    max_revenue = max(Decimal(week[2] or 0) for week in weeks)
    max_admissions = max(Decimal(week[3] or 0) for week in weeks)
    console.put("\n[bold]Revenue and attendance by week[/bold]")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("week")
    table.add_column(f"revenue {currency}", justify="right")
    table.add_column("", style="green", min_width=_BAR_WIDTH)
    table.add_column("admissions", justify="right")
    table.add_column("", style="magenta", min_width=_BAR_WIDTH)
    table.add_column("")
    for week, days, revenue, admissions, is_final in weeks:
        revenue, admissions = Decimal(revenue or 0), Decimal(admissions or 0)
        notes = [f"{days} day{'s' * (days > 1)}"] * (days < 7) + ["not final"] * (not is_final)
        table.add_row(
            week,
            f"{revenue:,.2f}",
            console.bar(float(revenue), float(max_revenue), _BAR_WIDTH),
            f"{admissions:,.0f}",
            console.bar(float(admissions), float(max_admissions), _BAR_WIDTH),
            f"[dim]{', '.join(notes)}[/dim]",
        )
    console.put(table)


def _print_law(counts: list[Verdicts]) -> bool:
    """Print the conservation law over all topics, and the topics that break it. Returns whether it holds."""
    if not counts:
        return False
    total = counts[-1]
    console.put("\n[bold]Nothing lost, nothing twice[/bold]")
    console.put(
        f"{total.polled:,} log records = {total.bronze:,} in bronze = {total.on_time + total.late:,} accepted events "
        f"+ {total.duplicates:,} duplicates + {total.quarantined:,} quarantined"
    )
    broken = [part.topic for part in counts if not part.holds]
    if broken:
        console.put(f"[red]does not add up for {', '.join(broken)}[/red]")
    return not broken
