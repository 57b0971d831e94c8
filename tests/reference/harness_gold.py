"""Compare the pipeline's gold, as plain rows, with the reference. Surrogate keys are resolved, not compared.

`actual` maps table names to rows. Tables are optional: gold.dim_customer, dim_product, dim_anime_title, dim_store,
dim_channel, dim_payment_method (the dimensions that a given fact refers to are required), gold.fct_sales,
fct_cinema_attendance, fct_review, fct_inventory_movement, fct_inventory_daily, fct_customer_engagement and
marts.daily_summary. Columns follow R31-R36 and R43. Columns that only one side has are not compared.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from .gold import CUSTOMER, NOT_APPLICABLE, PRODUCT, TITLE, UNKNOWN, Gold, on_hand
from .history import PERSONAL, Version

Rows = Sequence[Mapping[str, Any]]
Members = Mapping[str, Mapping[int, Any]]  # by dimension: surrogate key -> natural key, or (natural key, valid_from)
VERSIONED = {
    "gold.dim_customer": (CUSTOMER, "customer"),
    "gold.dim_product": (PRODUCT, "product"),
    "gold.dim_anime_title": (TITLE, "title"),
}
PLAIN = {"gold.dim_store": "store", "gold.dim_channel": "channel", "gold.dim_payment_method": "payment_method"}


def compare_gold(gold: Gold, actual: Mapping[str, Rows]) -> list[str]:
    """Return the differences between the reference's gold and the rows of `actual`."""
    found: list[str] = []
    members: dict[str, dict[int, Any]] = {}
    for table, (topic, name) in VERSIONED.items():
        rows = actual.get(table, ())
        key_of = _key_column(rows, table, name)
        members[name] = {row[key_of]: (row[f"{name}_id"], row["valid_from"]) for row in rows if row[key_of] > 0}
        if table in actual:
            missing = {UNKNOWN, NOT_APPLICABLE} - {row[key_of] for row in rows}
            found += [f"{table}: no row {number}" for number in sorted(missing)]
            found += _versions(gold, topic, name, [row for row in rows if row[key_of] > 0], table)
    for table, name in PLAIN.items():
        members[name] = {
            row[f"{name}_key"]: row[f"{name}_id"] for row in actual.get(table, ()) if row[f"{name}_key"] > 0
        }
    facts = {
        "gold.fct_sales": (gold.sales, ("event_id", "line_number")),
        "gold.fct_cinema_attendance": (gold.attendance, ("event_id",)),
        "gold.fct_review": (gold.reviews, ("event_id",)),
        "gold.fct_inventory_movement": (gold.movements, ("event_id",)),
        "gold.fct_customer_engagement": (_engagement(gold), ("customer_id", "date")),
    }
    for table, (ours, by) in facts.items():
        if table in actual:
            found += _facts(ours, actual[table], members, table, by)
    if "gold.fct_inventory_daily" in actual:
        found += _stock(gold, actual["gold.fct_inventory_daily"])
    if "marts.daily_summary" in actual:
        found += _daily(gold, actual["marts.daily_summary"])
    return found


def _key_column(rows: Rows, table: str, name: str) -> str:
    """Return `title_key` or `anime_title_key`, whichever the dimension has."""
    longer = f"{table.removeprefix('gold.dim_')}_key"
    return longer if rows and longer in rows[0] else f"{name}_key"


def _versions(gold: Gold, topic: str, name: str, rows: Rows, table: str) -> list[str]:
    theirs = {(row[f"{name}_id"], row["valid_from"]): row for row in rows}
    found = [f"{table}: {len(rows) - len(theirs)} versions stand twice"] if len(theirs) != len(rows) else []
    for (kind, key), versions in gold.versions.items():
        for one in versions if kind == topic else ():
            row = theirs.pop((key, one.valid_from), None)
            if row is None:
                found.append(f"{table} {key} from {one.valid_from}: version is missing")
            else:
                found += [f"{table} {key} from {one.valid_from} {text}" for text in _version(one, row)]
    return found + [f"{table} {place}: a version that no change opens" for place in theirs]


def _version(ours: Version, theirs: Mapping[str, Any]) -> list[str]:
    expected = {
        "valid_to": ours.valid_to,
        "version": ours.version,
        "is_current": ours.is_current,
        "is_deleted": ours.is_deleted,
        "is_inferred": ours.is_inferred,
        **ours.attributes,
    }
    return [
        f"{name}: {value!r} expected, found {theirs[name]!r}"
        for name, value in expected.items()
        if name in theirs and theirs[name] != value and not (name in PERSONAL and not value and not theirs[name])
    ]


def _facts(ours: Rows, theirs: Rows, members: Members, table: str, by: Sequence[str]) -> list[str]:
    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in by)

    twice = [key for key, count in Counter(map(place, theirs)).items() if count > 1]
    found = [f"{table} {key}: occurs twice" for key in twice]
    rows = {place(row): row for row in theirs}
    for one in ours:
        row = rows.pop(place(one), None)
        if row is None:
            found.append(f"{table} {place(one)}: row is missing")
            continue
        for name, value in one.items():
            made = _joined(name, row, members)
            if made is not ... and made != value:
                found.append(f"{table} {place(one)} {name}: {value!r} expected, found {made!r}")
    return found + [f"{table} {key}: a row for no accepted event" for key in rows]


def _joined(name: str, row: Mapping[str, Any], members: Members) -> Any:
    """Return the row's value of a reference column, resolved by key if there is one; `...` if the row lacks it."""
    key_name = next((one for one in (f"{name}_key", f"anime_{name}_key") if one in row), None)
    if name not in members or key_name is None:
        return row.get(name, ...)
    key = row[key_name]
    if key in (UNKNOWN, NOT_APPLICABLE):
        return (key, key) if name in ("customer", "product", "title") else key
    return members[name].get(key, f"key {key}, which no member has")


def _engagement(gold: Gold) -> Rows:
    return [{"customer_id": customer, "date": day, **row} for (customer, day), row in gold.engagement.items()]


def _stock(gold: Gold, theirs: Rows) -> list[str]:
    """Compare the stock of every row. Every day from the first movement of a product in a warehouse needs a row."""
    found = [
        f"fct_inventory_daily {row['product_id']} {row['warehouse_id']} {row['date']}: {ours} expected, found {row}"
        for row in theirs
        if (ours := on_hand(gold, row["product_id"], row["warehouse_id"], row["date"])) != row["on_hand"]
    ]
    days = {(row["product_id"], row["warehouse_id"], row["date"]) for row in theirs}
    places = {(row["product"][0], row["warehouse"], row["date"]) for row in gold.movements}
    return found + [f"fct_inventory_daily {place}: row is missing" for place in places - days]


def _daily(gold: Gold, theirs: Rows) -> list[str]:
    rows = {_day(row["date"]): row for row in theirs}
    found = [f"daily_summary: no row for {day}" for day in gold.daily if day not in rows]
    found += [
        f"daily_summary: {day} is not between the first and the last event" for day in rows if day not in gold.daily
    ]
    for day, one in gold.daily.items():
        for name, value in one.items():
            if day in rows and name in rows[day] and rows[day][name] != value:
                found.append(f"daily_summary {day} {name}: {value!r} expected, found {rows[day][name]!r}")
    return found


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value
