"""`animeverse reconcile`: the conservation law for each topic, recounted, then what late data changed.

Bronze, accepted events and quarantine are counted in their tables; the ledger says how many records were read and how
many were duplicates, which leave no row. What the ledger has not judged yet waits and breaks no law.
"""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from rich.markup import escape

from animeverse import console
from animeverse.query import Session
from pipelines.contracts import CONTRACTS
from pipelines.settings import Settings
from pipelines.status import open_lakehouse

_KPIS = {"net_sales_amount": "net sales", "admissions": "admissions"}  # those shown to people
_DAYS_SHOWN = 14
HEADS = ("topic", "log", "bronze", "on time", "late", "duplicates", "quarantined", "waiting", "")


@dataclass(frozen=True, slots=True)
class TopicLaw:
    """The law's terms for one topic; `faults` say what does not add up."""

    topic: str
    log: int  # records read, as the ledger counts them
    bronze: int
    on_time: int
    late: int
    duplicates: int
    quarantined: int
    waiting: int  # in bronze, not judged yet
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LateChange:
    """What late events did to one KPI of one day, over all refreshes."""

    date: date
    kpi: str
    before: Decimal
    after: Decimal
    events: int
    was_final: bool


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All topics with records, and all days that late data changed."""

    topics: list[TopicLaw]
    late: list[LateChange]

    @property
    def ok(self) -> bool:
        """Whether everything adds up."""
        return not any(topic.faults for topic in self.topics)

    def to_dict(self) -> dict[str, Any]:
        """For programs; amounts are text, with all digits."""
        return {
            "ok": self.ok,
            "topics": [asdict(topic) for topic in self.topics],
            "late": [
                {**asdict(one), "date": one.date.isoformat(), "before": str(one.before), "after": str(one.after)}
                for one in self.late
            ],
        }


def reconcile(settings: Settings) -> Reconciliation:
    """Count everything again. Raises NoLakehouseError where nothing is there."""
    open_lakehouse(settings).close()
    with Session(settings) as session:
        there = {f"{schema}.{table}" for schema, table in session.tables()}
        topics = [_law(session, there, topic) for topic in CONTRACTS if f"bronze.{CONTRACTS[topic].table}" in there]
        late = _late(session) if "ops.restatements" in there else []
    return Reconciliation(topics, late)


def _law(session: Session, there: set[str], topic: str) -> TopicLaw:
    table = CONTRACTS[topic].table
    ledger = [0, 0, 0, 0, 0, 0]
    if "ops.batches" in there:
        sums = ", ".join(
            f"coalesce(sum({column}), 0)::bigint"
            for column in ("polled", "accepted_on_time", "accepted_late", "duplicates", "quarantined")
        )
        found = session.run(f"select coalesce(max(batch_id), 0), {sums} from ops.batches where topic = '{topic}'")
        ledger = [int(number) for number in next(iter(list(found.rows)))]
    judged, log, on_time, late, duplicates, quarantined = ledger
    [(bronze, waiting)] = list(
        session.run(
            f"select count(*) filter (batch_id <= {judged}), count(*) filter (batch_id > {judged}) from bronze.{table}"
        ).rows
    )
    arrivals: dict[str, int] = {}
    if f"silver.{table}" in there:
        arrivals = dict(session.run(f"select _arrival, count(*) from silver.{table} group by _arrival").rows)
    stopped = 0
    if "silver.quarantine" in there:
        [(stopped,)] = list(session.run(f"select count(*) from silver.quarantine where topic = '{topic}'").rows)
    counted = {"on_time": arrivals.get("on_time", 0), "late": arrivals.get("late", 0), "quarantined": stopped}
    faults = [
        f"the ledger says {said:,} {name.replace('_', ' ')}, the tables hold {counted[name]:,}"
        for name, said in (("on_time", on_time), ("late", late), ("quarantined", quarantined))
        if said != counted[name]
    ]
    if log != bronze:
        faults.append(f"{log:,} records were read, bronze holds {bronze:,}")
    if bronze != sum(counted.values()) + duplicates:
        total = sum(counted.values()) + duplicates
        faults.append(f"bronze holds {bronze:,}, accepted + duplicates + quarantined is {total:,}")
    return TopicLaw(topic, log, bronze, **counted, duplicates=duplicates, waiting=waiting, faults=tuple(faults))


def _late(session: Session) -> list[LateChange]:
    """By day and KPI: `before` is what it would be without the late events."""
    found = session.run(
        "select date, kpi, arg_max(value_after, refresh_id) - sum(delta), arg_max(value_after, refresh_id), "
        "sum(event_count)::bigint, bool_or(was_final) "
        "from ops.restatements where cause = 'late' group by date, kpi order by date, kpi"
    )
    return [LateChange(*row) for row in found.rows]


def print_reconciliation(found: Reconciliation) -> None:
    """For people, on stdout: the law by topic, then the last days that late data changed."""
    rows = [
        (
            law.topic,
            *map(console.count, (law.log, law.bronze, law.on_time, law.late, law.duplicates, law.quarantined)),
            console.count(law.waiting) if law.waiting else "",
            "does not add up" if law.faults else "adds up",
        )
        for law in found.topics
    ]
    console.put(console.table(HEADS, rows, right=range(1, 8)))
    console.put("\nlog = bronze = on time + late + duplicates + quarantined")
    for law in found.topics:
        for fault in law.faults:
            console.put(f"[red]{law.topic}: {escape(fault)}[/red]")
    shown = [one for one in found.late if one.kpi in _KPIS]
    days = sorted({one.date for one in shown})
    if not days:
        console.put("\nno late event changed a day")
        return
    last = min(len(days), _DAYS_SHOWN)
    console.put(f"\n[bold]What late data changed[/bold] [dim](the last {last} of {len(days)} days)[/dim]")
    for one in shown:
        if one.date in days[-_DAYS_SHOWN:]:
            console.put(_sentence(one))


def _sentence(one: LateChange) -> str:
    share = f" ({(one.after - one.before) / abs(one.before) * 100:+.1f} %)" if one.before else ""
    form = ",.2f" if one.kpi.endswith("_amount") else ",.0f"
    events = f"{one.events:,} late event{'s' * (one.events != 1)}"
    final = ", though the day was final" if one.was_final else ""
    day = f"{one.date:%A} {one.date.day} {one.date:%B %Y}"
    return f"{day}: {_KPIS[one.kpi]} {one.before:{form}} → {one.after:{form}}{share} from {events}{final}"
