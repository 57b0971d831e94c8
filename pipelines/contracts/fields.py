"""The kinds of fields that event contracts are made of."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import dataframely as dy

Kind = Literal["text", "enum", "integer", "money", "time", "date", "boolean", "texts", "lines"]

MONEY_PRECISION, MONEY_SCALE = 18, 4

MONEY_LIMIT = Decimal(10) ** (MONEY_PRECISION - MONEY_SCALE)  # |x| after rounding must stay below

FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2100, 12, 31)

MAX_DEPTH = 128  # levels of nesting; the record's own object is level 1

WHITE_SPACE = " \t\r\n"  # R2; a required text of nothing else counts as missing

MAX_EVOLVED_COLUMNS = 50

EVOLVED_NAME = r"[a-z][a-z0-9_]{0,62}"

HOUSE_CURRENCY = "currency"  # field whose only value is the setting ANIMEVERSE_CURRENCY


def _text(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.String:
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "text", "required_for": required_for},
    )


def _enum(
    description: str, values: tuple[str, ...], *, optional: bool = False, required_for: tuple[str, ...] = ()
) -> dy.String:
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "enum", "values": values, "required_for": required_for},
    )


def _integer(
    description: str,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    optional: bool = False,
    required_for: tuple[str, ...] = (),
    signed_for: tuple[str, ...] = (),
) -> dy.Int64:
    """`signed_for`: event types to which the bounds do not apply."""
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


def _money(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Decimal:
    return dy.Decimal(
        MONEY_PRECISION,
        MONEY_SCALE,
        nullable=optional or bool(required_for),
        min=0,
        description=description,
        metadata={"kind": "money", "minimum": 0, "required_for": required_for},
    )


def _time(description: str) -> dy.Datetime:
    return dy.Datetime(time_zone="UTC", time_unit="us", description=description, metadata={"kind": "time"})


def _date(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Date:
    return dy.Date(
        nullable=optional or bool(required_for),
        min=FIRST_DATE,
        max=LAST_DATE,
        description=description,
        metadata={"kind": "date", "required_for": required_for},
    )


def _boolean(description: str, *, required_for: tuple[str, ...] = ()) -> dy.Bool:
    return dy.Bool(
        nullable=bool(required_for), description=description, metadata={"kind": "boolean", "required_for": required_for}
    )


def _texts(description: str, *, required_for: tuple[str, ...] = ()) -> dy.List:
    return dy.List(
        dy.String(nullable=False),
        nullable=bool(required_for),
        description=description,
        metadata={"kind": "texts", "required_for": required_for},
    )


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an event, or of a line of `items`. Bounds are inclusive and hold for the value before rounding."""

    name: str
    kind: Kind
    description: str
    optional: bool  # may be null or absent for every event type
    required_for: frozenset[str] = frozenset()  # event types that need it; empty and not optional: all of them
    values: tuple[str, ...] = ()  # of an enum; empty for `currency`: the house currency is a setting
    minimum: int | None = None
    maximum: int | None = None
    signed_for: frozenset[str] = frozenset()  # event types to which the bounds do not apply
    years: tuple[int, int] | None = None  # of a time other than event_time
    lines: tuple["Field", ...] = ()  # of `items`

    def is_required(self, event_type: str | None) -> bool:
        """Whether an event of this type needs it; `None` is an event type that is not known (R4)."""
        if self.optional:
            return False
        return not self.required_for or event_type in self.required_for

    def is_bounded(self, event_type: str | None) -> bool:
        """Whether minimum and maximum apply; unknown event types are only held to unconditional rules (R4)."""
        return event_type not in self.signed_for and not (self.signed_for and event_type is None)
