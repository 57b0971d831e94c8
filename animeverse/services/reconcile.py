"""Count the outcome of every record by topic and day, and read the KPIs that late data changed."""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from animeverse.services.query import Session
from pipelines.config.settings import Settings
from pipelines.operations.reconcile import count_topics
from pipelines.operations.record_counts import TopicReconciliation


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of one cause on one KPI of one day, summed over all refreshes.

    `before` is the value without the cause. `cause` is `late`, `on_time` or `master_data`.
    """

    date: date
    kpi: str
    cause: str
    before: Decimal
    after: Decimal
    events: int
    was_final: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the change for JSON; amounts are text with all digits."""
        return {**asdict(self), "date": self.date.isoformat(), "before": str(self.before), "after": str(self.after)}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Counts of all topics that have a bronze table, and the changed days.

    `late` are the changes by late data; `other` are those of ended days by any other cause.
    """

    topics: list[TopicReconciliation]
    late: list[Change]
    other: list[Change]

    @property
    def ok(self) -> bool:
        """Return whether the conservation law holds for every topic."""
        return not any(topic.faults for topic in self.topics)

    def to_dict(self) -> dict[str, Any]:
        """Return the reconciliation for JSON; amounts are text with all digits."""
        return {
            "ok": self.ok,
            "topics": [topic.to_dict() for topic in self.topics],
            "late": [change.to_dict() for change in self.late],
            "other": [change.to_dict() for change in self.other],
        }


def reconcile(settings: Settings) -> Reconciliation:
    """Count all records again and read the restatements. Raises NoLakehouseError."""
    topics = count_topics(settings)
    with Session(settings) as session:
        changes = _changes(session) if ("ops", "restatements") in session.tables() else []
    late = [change for change in changes if change.cause == "late"]
    return Reconciliation(topics, late, [change for change in changes if change.cause != "late"])


def _changes(session: Session) -> list[Change]:
    restatements = session.run(
        "select date, kpi, cause, arg_max(value_after, refresh_id) - sum(delta), arg_max(value_after, refresh_id), "
        "sum(event_count)::bigint, bool_or(was_final) "
        "from ops.restatements group by date, kpi, cause having sum(delta) <> 0 order by date, cause, kpi"
    )
    return [Change(*row) for row in restatements.rows]
