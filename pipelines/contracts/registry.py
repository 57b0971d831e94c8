"""The contract of each topic: the only place that knows fields, types, nullability, ranges, values and rules.

Each contract is a dataframely schema of the event's own columns as silver keeps them. What a column type cannot say
stands in its `metadata`: `kind` (how the JSON value is read), `required_for` (event types that need it; absent with
nullable=False: all but a delete) and bounds on the raw JSON value. `CONTRACTS` is the same read once into plain values
(`Contract`, `Field`), which parsers, producers, docs and JSON Schemas use. Source: design.md section 2, rules R1-R13.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dataframely as dy

from pipelines.contracts.events import (
    AnimeSchedule,
    CinemaSales,
    CustomerProfiles,
    CustomerReviews,
    InventoryUpdates,
    PosTransactions,
    ProductCatalog,
    SaleLine,
)
from pipelines.contracts.fields import Field

VERSION = 1  # goes up with every change of a contract; silver's table properties say from which batch it holds


@dataclass(frozen=True, slots=True)
class Contract:
    """What an event of one topic must look like."""

    topic: str
    key_field: str  # its text is the record's key
    is_master: bool  # master data: changes of one member, no lateness limit
    schema: type[dy.Schema]
    fields: tuple[Field, ...]  # event_id, event_time, event_type first
    one_of: tuple[str, ...] = ()  # exactly one of these must be there: rule:one_subject

    @property
    def table(self) -> str:
        """The topic's name as part of a table's name: `pos_transactions`."""
        return self.topic.replace("-", "_")

    @property
    def event_types(self) -> tuple[str, ...]:
        """Known event types."""
        return self.field("event_type").values

    @property
    def delete_fields(self) -> tuple[str, ...]:
        """All that is read of a `delete` (R11)."""
        return ("event_id", "event_time", "event_type", self.key_field)

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def _field(name: str, column: dy.Column) -> Field:
    meta: Mapping[str, Any] = column.metadata or {}
    required_for = frozenset(meta.get("required_for", ()))
    inner: tuple[Field, ...] = ()
    if meta["kind"] == "lines":
        inner = tuple(_field(part, sub) for part, sub in SaleLine.columns().items())
    return Field(
        name=name,
        kind=meta["kind"],
        description=column.description or "",
        optional=column.nullable and not required_for,
        required_for=required_for,
        values=tuple(meta.get("values", ())),
        minimum=meta.get("minimum"),
        maximum=meta.get("maximum"),
        signed_for=frozenset(meta.get("signed_for", ())),
        years=meta.get("years"),
        lines=inner,
    )


def _contract(
    topic: str, key_field: str, schema: type[dy.Schema], *, is_master: bool = False, one_of: tuple[str, ...] = ()
) -> Contract:
    fields = tuple(_field(name, column) for name, column in schema.columns().items())
    return Contract(topic, key_field, is_master, schema, fields, one_of)


CONTRACTS: Mapping[str, Contract] = {
    contract.topic: contract
    for contract in (
        _contract("pos-transactions", "transaction_id", PosTransactions),
        _contract("cinema-sales", "booking_id", CinemaSales),
        _contract("inventory-updates", "product_id", InventoryUpdates),
        _contract("customer-reviews", "customer_id", CustomerReviews, one_of=("product_id", "title_id")),
        _contract("customer-profiles", "customer_id", CustomerProfiles, is_master=True),
        _contract("product-catalog", "product_id", ProductCatalog, is_master=True),
        _contract("anime-schedule", "title_id", AnimeSchedule, is_master=True),
    )
}

TOPICS: tuple[str, ...] = tuple(CONTRACTS)
BUSINESS_TOPICS: tuple[str, ...] = tuple(topic for topic, contract in CONTRACTS.items() if not contract.is_master)
