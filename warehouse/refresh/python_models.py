"""Tables that SQL alone cannot make: each is filled by a function before the first mart that reads it."""

from collections.abc import Callable
from dataclasses import dataclass

from warehouse.refresh import clv
from warehouse.refresh import customer_totals as totals
from warehouse.refresh.context import Context


@dataclass(frozen=True, slots=True)
class PythonModel:
    """`fill` makes it when a mart is due; `note` hears of every refresh, also of one that leaves the mart for later."""

    fill: Callable[[Context], None]
    note: Callable[[Context], None] = lambda context: None
    reads: tuple[str, ...] = ()  # a mart that reads it names these in its header, too


PYTHON_MODELS = {
    "totals.customers": PythonModel(totals.count, totals.note, ("gold.fct_customer_engagement", "gold.fct_sales")),
    "work.clv_predictions": PythonModel(lambda context: clv.fit(context.connection)),
}
