"""`animeverse reconcile`: what became of every record by topic and by day, then what late data changed."""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from animeverse.services.query import Session
from pipelines.config.settings import Settings
from pipelines.operations.reconcile import count_topics
from pipelines.operations.record_counts import TopicReconciliation

_KPIS = {"net_sales_amount": "net sales", "admissions": "admissions"}  # those shown to people
_OTHER_KPIS = {  # where none of those changed
    "units": "units",
    "orders": "orders",
    "gross_margin_amount": "gross margin",
    "ticket_revenue_amount": "ticket revenue",
    "concession_amount": "concessions",
}
_CAUSES = {
    "late": "late event{s}",
    "on_time": "event{s} of a partition that had been idle",
    "master_data": "changes of master data",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What one cause did to one KPI of one day, over all refreshes."""

    date: date
    kpi: str
    cause: str
    before: Decimal
    after: Decimal
    events: int
    was_final: bool


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All topics with a bronze table, all days that late data changed, and ended ones that anything else did."""

    topics: list[TopicReconciliation]
    late: list[Change]
    other: list[Change]

    @property
    def ok(self) -> bool:
        """Whether everything adds up."""
        return not any(topic.faults for topic in self.topics)

    def to_dict(self) -> dict[str, Any]:
        """For programs; amounts are text, with all digits."""
        return {
            "ok": self.ok,
            "topics": [topic.to_dict() for topic in self.topics],
            "late": [_as_json(one) for one in self.late],
            "other": [_as_json(one) for one in self.other],
        }


def reconcile(settings: Settings) -> Reconciliation:
    """Count everything again. Raises NoLakehouseError where nothing is there."""
    topics = count_topics(settings)
    with Session(settings) as session:
        there = ("ops", "restatements") in session.tables()
        changes = _changes(session) if there else []
    late = [one for one in changes if one.cause == "late"]
    return Reconciliation(topics, late, [one for one in changes if one.cause != "late"])


def _as_json(one: Change) -> dict[str, Any]:
    return {**asdict(one), "date": one.date.isoformat(), "before": str(one.before), "after": str(one.after)}


def _changes(session: Session) -> list[Change]:
    """By day, KPI and cause: `before` is what it would be without the cause."""
    found = session.run(
        "select date, kpi, cause, arg_max(value_after, refresh_id) - sum(delta), arg_max(value_after, refresh_id), "
        "sum(event_count)::bigint, bool_or(was_final) "
        "from ops.restatements group by date, kpi, cause having sum(delta) <> 0 order by date, cause, kpi"
    )
    return [Change(*row) for row in found.rows]
