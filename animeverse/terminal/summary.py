"""The numbers a newcomer wants to see, read from the tables themselves: rows, verdicts, the law, weeks."""

from dataclasses import dataclass
from decimal import Decimal

from rich.table import Table

from animeverse.services.query import Session
from animeverse.terminal import console

_LEDGER = ("polled", "bronze", "accepted_on_time", "accepted_late", "duplicates", "quarantined")
_HEADS = ("topic", "records", "on time", "late", "duplicates", "quarantined")
_BAR = 24  # characters of the longest bar
_WEEKS = 10
_MEANINGS = {
    "conflicting_duplicate": "an event_id again, with other content",
    "duplicate_field": "a member name twice in one object",
    "empty_value": "no bytes, or white space only",
    "future": "claims to have happened after it arrived",
    "invalid_json": "no JSON",
    "not_an_object": "JSON, but no object",
    "schema_drift": "a field nobody agreed on",
    "too_late": "older than the allowed lateness",
}
_KINDS = {
    "missing": "is absent, null or blank",
    "type": "is of another type",
    "range": "is out of bounds",
    "enum": "is no value of the list",
}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the ledger counts for one topic, or for all."""

    topic: str
    polled: int
    bronze: int
    on_time: int
    late: int
    duplicates: int
    quarantined: int

    @property
    def holds(self) -> bool:
        """The conservation law."""
        return self.polled == self.bronze == self.on_time + self.late + self.duplicates + self.quarantined


def verdicts(session: Session) -> list[Verdicts]:
    """By topic, and last of all the sum."""
    sums = ", ".join(f"sum({column})::bigint" for column in _LEDGER)
    found = session.run(f"select topic, {sums} from ops.batches group by rollup (topic) order by topic nulls last")
    return [Verdicts(topic or "all", *numbers) for topic, *numbers in found.rows]


def reasons(session: Session) -> list[tuple[str, int]]:
    """Rules that quarantined records, the busiest first; a record may have broken several."""
    found = session.run(
        "select reason, count(*)::bigint as rows from (select unnest(reasons) as reason from silver.quarantine) "
        "group by reason order by rows desc, reason"
    )
    return [(str(reason), int(rows)) for reason, rows in found.rows]


def layers(session: Session) -> list[tuple[str, str, int]]:
    """Layer, table and rows of every table of bronze, silver and gold."""
    names = [name for name in session.tables() if name[0] in ("bronze", "silver", "gold")]
    if not names:
        return []
    counts = " union all ".join(
        f"""select '{schema}', '{table}', count(*) from {schema}."{table}\"""" for schema, table in names
    )
    order = ("bronze", "silver", "gold")
    return sorted(
        ((s, t, int(n)) for s, t, n in session.run(counts).rows), key=lambda row: (order.index(row[0]), row[1])
    )


def print_all(session: Session, currency: str) -> bool:
    """All of it on stdout; whether the conservation law holds."""
    _print_layers(layers(session))
    counted = verdicts(session)
    _print_verdicts(counted)
    _print_reasons(reasons(session))
    _print_weeks(session, currency)
    return _print_law(counted)


def _print_layers(found: list[tuple[str, str, int]]) -> None:
    console.put("\n[bold]Rows by layer[/bold]")
    drawn = Table.grid(padding=(0, 2, 0, 0))
    for layer in ("bronze", "silver", "gold"):
        rows = [(table, n) for name, table, n in found if name == layer]
        total = sum(n for _, n in rows)
        largest = sorted(rows, key=lambda row: (-row[1], row[0]))
        listed = ", ".join(f"{table} {n:,}" for table, n in largest)
        drawn.add_row(layer, f"{total:,}", f"[dim]{listed}[/dim]")
    drawn.columns[1].justify = "right"
    console.put(drawn)


def _print_verdicts(counted: list[Verdicts]) -> None:
    rows = [
        (one.topic, *map(console.count, (one.polled, one.on_time, one.late, one.duplicates, one.quarantined)))
        for one in counted
    ]
    console.put("\n[bold]What became of every record[/bold]")
    console.put(console.table(_HEADS, rows, right=range(1, 6)))


def _print_reasons(found: list[tuple[str, int]], most: int = 12) -> None:
    if not found:
        return
    console.put("\n[bold]Why records are in quarantine[/bold]")
    rows = [(name, f"{n:,}", meaning(name)) for name, n in found[:most]]
    console.put(console.table(("rule", "records", ""), rows, right=[1]))
    if len(found) > most:
        console.put(f"[dim]and {len(found) - most} more rules[/dim]")


def meaning(rule: str) -> str:
    """What a rule's name says, in words."""
    if rule in _MEANINGS:
        return _MEANINGS[rule]
    kind, _, path = rule.partition(":")
    return f"{path} {_KINDS[kind]}" if kind in _KINDS else f"breaks the rule on {path}" if path else ""


def _print_weeks(session: Session, currency: str) -> None:
    """Net sales and admissions by week, as bars."""
    found = session.run(
        "select iso_week, days, net_sales_amount + ticket_revenue_amount + concession_amount, admissions, is_final "
        f"from marts.weekly_summary order by week_start_date desc limit {_WEEKS}"
    )
    weeks = list(found.rows)[::-1]
    if not weeks:
        return
    most_money = max(Decimal(week[2] or 0) for week in weeks)
    most_seats = max(Decimal(week[3] or 0) for week in weeks)
    console.put("\n[bold]Revenue and attendance by week[/bold]")
    drawn = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    drawn.add_column("week")
    drawn.add_column(f"revenue {currency}", justify="right")
    drawn.add_column("", style="green", min_width=_BAR)
    drawn.add_column("admissions", justify="right")
    drawn.add_column("", style="magenta", min_width=_BAR)
    drawn.add_column("")
    for week, days, money, seats, is_final in weeks:
        money, seats = Decimal(money or 0), Decimal(seats or 0)
        note = [f"{days} day{'s' * (days > 1)}"] * (days < 7) + ["not final"] * (not is_final)
        drawn.add_row(
            week,
            f"{money:,.2f}",
            console.bar(float(money), float(most_money), _BAR),
            f"{seats:,.0f}",
            console.bar(float(seats), float(most_seats), _BAR),
            f"[dim]{', '.join(note)}[/dim]",
        )
    console.put(drawn)


def _print_law(counted: list[Verdicts]) -> bool:
    """The conservation law over all topics, and the topics for which it does not hold."""
    if not counted:
        return False
    total = counted[-1]
    console.put("\n[bold]Nothing lost, nothing twice[/bold]")
    console.put(
        f"{total.polled:,} log records = {total.bronze:,} in bronze = {total.on_time + total.late:,} accepted events "
        f"+ {total.duplicates:,} duplicates + {total.quarantined:,} quarantined"
    )
    broken = [one.topic for one in counted if not one.holds]
    if broken:
        console.put(f"[red]does not add up for {', '.join(broken)}[/red]")
    return not broken
