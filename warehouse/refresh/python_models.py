"""Tables that SQL alone cannot compute. A function fills each before the first mart that reads it."""

from collections.abc import Callable
from dataclasses import dataclass

from warehouse.refresh import clv, customer_totals
from warehouse.refresh.context import Context


@dataclass(frozen=True, slots=True)
class PythonModel:
    """`fill` computes the table when a mart needs it. `on_refresh` runs in every refresh."""

    fill: Callable[[Context], None]
    on_refresh: Callable[[Context], None] = lambda context: None
    reads: tuple[str, ...] = ()  # a mart that reads the table names these in its header, too


PYTHON_MODELS = {
    "totals.customers": PythonModel(
        customer_totals.fill, customer_totals.check_base, ("gold.fct_customer_engagement", "gold.fct_sales")
    ),
    "work.clv_predictions": PythonModel(lambda context: clv.fit(context.connection)),
}
