"""The contract of a topic: its dataframely schema, read once into plain values.

The schema holds the event's own columns as silver stores them. What a column type cannot express is in the column's
`metadata`: `kind` (how the JSON value is read), `required_for` (the event types that need the field) and bounds on the
raw JSON value. See the rules R1 to R13.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dataframely as dy

from pipelines.contracts.fields import Field, text_field, time_field


class Event(dy.Schema):
    """What every event of every topic carries."""

    event_id = text_field("unique for ever within its topic")
    event_time = time_field("when it happened; RFC 3339 with offset, kept in UTC to the microsecond")


@dataclass(frozen=True, slots=True)
class Contract:
    """The requirements for the events of one topic."""

    topic: str
    key_field: str  # its text is the record's key
    is_master: bool  # master data: each event changes one member; no lateness limit
    schema: type[dy.Schema]
    fields: tuple[Field, ...]  # event_id, event_time, event_type first
    one_of: tuple[str, ...] = ()  # exactly one of these fields is required: rule:one_subject

    @property
    def table(self) -> str:
        """The topic's name as part of table names: `pos_transactions`."""
        return self.topic.replace("-", "_")

    @property
    def event_types(self) -> tuple[str, ...]:
        """Known event types."""
        return self.field("event_type").values

    @property
    def delete_fields(self) -> tuple[str, ...]:
        """The fields that are read of a `delete` (R11). Every event has them."""
        return ("event_id", "event_time", "event_type", self.key_field)

    @property
    def line_field(self) -> Field | None:
        """The field that holds the event's lines; None if its events have no lines."""
        return next((field for field in self.fields if field.kind == "lines"), None)

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def contract(
    topic: str, key_field: str, schema: type[dy.Schema], *, is_master: bool = False, one_of: tuple[str, ...] = ()
) -> Contract:
    """The contract of a topic whose events have this schema."""
    fields = tuple(_field(name, column) for name, column in schema.columns().items())
    return Contract(topic, key_field, is_master, schema, fields, one_of)


def _field(name: str, column: dy.Column) -> Field:
    meta: Mapping[str, Any] = column.metadata or {}
    required_for = frozenset(meta.get("required_for", ()))
    line_schema: type[dy.Schema] | None = meta.get("line_schema")
    lines = line_schema.columns() if line_schema is not None else {}
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
        lines=tuple(_field(part, line_column) for part, line_column in lines.items()),
        lines_table=meta.get("lines_table"),
    )
