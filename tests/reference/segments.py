"""RFM scores of each ended day and their history (R36)."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from .contract import Policy
from .gold import DAY, EXACT, UNKNOWN, ZERO, Gold, end_of, passed
from .silver import Silver

WINDOW = 365 * DAY


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores from 1 to 5; 5 is best."""

    recency: int
    frequency: int
    monetary: int


@dataclass(frozen=True, slots=True)
class SegmentVersion:
    """One row of dim_customer_segment."""

    customer_id: str
    segment: str
    scores: Scores
    valid_from: datetime
    valid_to: datetime | None


def quintile(rank: int, count: int) -> int:
    """Return the quintile, 1 to 5, of a rank that begins at 1."""
    return 5 * (rank - 1) // count + 1


def scores_of(gold: Gold, day: date) -> dict[str, Scores]:
    """Return the scores of all customers with a sale or booking in the 365 days that end with `day`.

    Ties are ordered by customer_id. Recency is reversed: the longer ago, the lower the rank.
    """
    days: dict[str, set[date]] = defaultdict(set)
    money: dict[str, Decimal] = defaultdict(lambda: ZERO)
    with localcontext(EXACT):
        for row in [*gold.sales, *gold.attendance]:
            customer = row["customer"][0]
            if customer == UNKNOWN or not day - WINDOW < row["date"] <= day:
                continue
            if row["event_type"] in ("sale", "booking"):
                days[customer].add(row["date"])
            if "admissions" in row:
                money[customer] += row["ticket_revenue_amount"] + row["concession_amount"]
            else:
                money[customer] += row["net_sales_amount"]
    recency = _ranked({customer: max(bought).toordinal() for customer, bought in days.items()})
    frequency = _ranked({customer: len(bought) for customer, bought in days.items()})
    monetary = _ranked({customer: money[customer] for customer in days})
    return {customer: Scores(recency[customer], frequency[customer], monetary[customer]) for customer in days}


def _ranked(values: dict[str, Any]) -> dict[str, int]:
    ordered = sorted(values, key=lambda customer: (values[customer], customer))
    return {customer: quintile(rank, len(ordered)) for rank, customer in enumerate(ordered, start=1)}


def segment_history(
    gold: Gold, silver: Silver, segment_of: Callable[[Scores], str], policy: Policy | None = None
) -> list[SegmentVersion]:
    """Return versions by customer and valid_from. One opens when the scores change, and closes with an empty window."""
    days = [row["date"] for row in [*gold.sales, *gold.attendance]]
    history: list[SegmentVersion] = []
    current: dict[str, tuple[Scores, datetime]] = {}

    def close(customer: str, moment: datetime | None) -> None:
        scores, since = current.pop(customer)
        history.append(SegmentVersion(customer, segment_of(scores), scores, since, moment))

    day = min(days, default=date.max)
    while day < date.max and passed(silver, end_of(day), policy or Policy(), lateness=False):
        scores, moment = scores_of(gold, day), end_of(day)
        for customer in list(current):
            if scores.get(customer) != current[customer][0]:
                close(customer, moment)
        for customer, found in scores.items():
            current.setdefault(customer, (found, moment))
        day += timedelta(days=1)
    for customer in list(current):
        close(customer, None)
    return sorted(history, key=lambda one: (one.customer_id, one.valid_from))
