"""The kinds of fields that contracts consist of."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import dataframely as dy

Kind = Literal["text", "enum", "integer", "money", "time", "date", "boolean", "texts", "lines"]

MONEY_PRECISION, MONEY_SCALE = 18, 4
MONEY_LIMIT = Decimal(10) ** (MONEY_PRECISION - MONEY_SCALE)  # exclusive bound of |x| after rounding
FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2100, 12, 31)
MAX_DEPTH = 128  # levels of nesting; the record's own object is level 1
WHITE_SPACE = " \t\r\n"  # R2; a required text of white space only counts as missing
MAX_EVOLVED_COLUMNS = 50
EVOLVED_NAME = r"[a-z][a-z0-9_]{0,62}"
HOUSE_CURRENCY = "currency"  # the field whose only value is the setting ANIMEVERSE_CURRENCY
UPSERT = ("upsert",)  # `required_for` of master data: a delete has only its key


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an event, or of a line. Bounds are inclusive and apply before rounding."""

    name: str
    kind: Kind
    description: str
    optional: bool  # may be null or absent for every event type
    required_for: frozenset[str] = frozenset()  # event types that need it; empty and not optional: all of them
    values: tuple[str, ...] = ()  # of an enum; empty for `currency`, whose value is a setting
    minimum: int | None = None
    maximum: int | None = None
    signed_for: frozenset[str] = frozenset()  # event types to which the bounds do not apply
    years: tuple[int, int] | None = None  # of a time other than event_time
    lines: tuple["Field", ...] = ()  # the fields of one line
    lines_table: str | None = None  # the silver table of the lines, without schema name

    def is_required(self, event_type: str | None) -> bool:
        """Whether an event of this type needs the field; `None` is an unknown event type (R4)."""
        if self.optional:
            return False
        return not self.required_for or event_type in self.required_for

    def is_bounded(self, event_type: str | None) -> bool:
        """Whether minimum and maximum apply. For unknown event types only unconditional bounds do (R4)."""
        return event_type not in self.signed_for and not (self.signed_for and event_type is None)


def text_field(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.String:
    """A text."""
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "text", "required_for": required_for},
    )


def enum_field(
    description: str, values: tuple[str, ...], *, optional: bool = False, required_for: tuple[str, ...] = ()
) -> dy.String:
    """A text out of a list."""
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "enum", "values": values, "required_for": required_for},
    )


def integer_field(
    description: str,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    optional: bool = False,
    required_for: tuple[str, ...] = (),
    signed_for: tuple[str, ...] = (),
) -> dy.Int64:
    """A whole number. The bounds do not apply to the event types in `signed_for`."""
    return dy.Int64(
        nullable=optional or bool(required_for),
        min=None if signed_for else minimum,
        max=maximum,
        description=description,
        metadata={
            "kind": "integer",
            "minimum": minimum,
            "maximum": maximum,
            "required_for": required_for,
            "signed_for": signed_for,
        },
    )


def money_field(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Decimal:
    """An amount of at least 0 with four decimals."""
    return dy.Decimal(
        MONEY_PRECISION,
        MONEY_SCALE,
        nullable=optional or bool(required_for),
        min=0,
        description=description,
        metadata={"kind": "money", "minimum": 0, "required_for": required_for},
    )


def time_field(description: str, *, years: tuple[int, int] | None = None) -> dy.Datetime:
    """A UTC time in microseconds, optionally limited to a range of years."""
    return dy.Datetime(
        time_zone="UTC", time_unit="us", description=description, metadata={"kind": "time", "years": years}
    )


def date_field(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Date:
    """A date from FIRST_DATE to LAST_DATE."""
    return dy.Date(
        nullable=optional or bool(required_for),
        min=FIRST_DATE,
        max=LAST_DATE,
        description=description,
        metadata={"kind": "date", "required_for": required_for},
    )


def boolean_field(description: str, *, required_for: tuple[str, ...] = ()) -> dy.Bool:
    """`true` or `false`."""
    return dy.Bool(
        nullable=bool(required_for), description=description, metadata={"kind": "boolean", "required_for": required_for}
    )


def texts_field(description: str, *, required_for: tuple[str, ...] = ()) -> dy.List:
    """A list of texts."""
    return dy.List(
        dy.String(nullable=False),
        nullable=bool(required_for),
        description=description,
        metadata={"kind": "texts", "required_for": required_for},
    )


def lines_field(description: str, schema: type[dy.Schema], *, table: str) -> dy.List:
    """A list of at least one line with this schema. `table` is the silver table of the lines, without schema name."""
    return dy.List(
        dy.Struct(schema.columns()),
        nullable=False,
        min_length=1,
        description=description,
        metadata={"kind": "lines", "required_for": (), "line_schema": schema, "lines_table": table},
    )
