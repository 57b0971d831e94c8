"""Tables that SQL alone cannot make: each is filled by a function before the first mart that reads it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from warehouse import clv

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PYTHON_MODELS: Mapping[str, Callable[["DuckDBPyConnection"], None]] = {"work.clv_predictions": clv.fit}
