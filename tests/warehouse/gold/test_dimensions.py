"""Each dimension on the rows of `world`."""

import hashlib
from datetime import date, timedelta

import pytest

from tests.warehouse.conftest import Rows
from tests.warehouse.silver_world import EPOCH, MICROSECOND, at
from warehouse.registry import of_kind

BEGINNING = "0001-01-01 00:00:00+00"
VERSION = "valid_from, valid_to, is_current, is_deleted, is_inferred, version"


def test_dim_customer(gold: Rows) -> None:
    columns = f"customer_id, name, city, loyalty_tier, {VERSION}"
    found = gold(f"select {columns} from gold.dim_customer where customer_key > 0 order by customer_id, valid_from")
    change, deleted = at("03-03 00:00"), at("03-02 12:00")
    assert found == [
        ("C1", "name of C1", "Kyoto", "none", at("03-01 00:00"), change, False, False, False, 1),
        ("C1", "name of C1", "Kyoto", "gold", change, None, True, False, False, 2),
        ("C2", None, "Kyoto", "none", at("03-01 00:00"), deleted, False, True, False, 1),
    ]


def test_a_version_key_is_a_hash_of_the_id_and_the_start(gold: Rows) -> None:
    text = f"C1|{(at('03-03 00:00') - EPOCH) // MICROSECOND}"
    key = int(hashlib.md5(text.encode()).hexdigest()[:16], 16) & (2**63 - 1)
    assert gold("select customer_key from gold.dim_customer where customer_id = 'C1' and is_current") == [(key,)]


def test_dim_product(gold: Rows) -> None:
    columns = "product_id, name, supplier_id, list_price, unit_cost, is_current, is_inferred, version"
    found = gold(f"select {columns} from gold.dim_product where product_key > 0 order by product_id, version")
    assert found == [
        ("P1", "name of P1", "SUP-02", 20, 3, False, False, 1),
        ("P1", "name of P1", "SUP-02", 20, 4, True, False, 2),
        ("P9", None, None, None, None, True, True, 0),
    ]
    start = f"select valid_from = timestamptz '{BEGINNING}' from gold.dim_product where product_id = 'P9'"
    assert gold(start) == [(True,)]


def test_dim_anime_title(gold: Rows) -> None:
    columns = f"title_id, title, genres, status, {VERSION}"
    found = gold(f"select {columns} from gold.dim_anime_title where title_key > 0 order by valid_from")
    change = at("03-05 00:00")
    assert found == [
        ("A1", "title A1", ["drama"], "showing", at("03-01 00:00"), change, False, False, False, 1),
        ("A1", "title A1", ["drama"], "ended", change, None, True, False, False, 2),
    ]


def test_dim_customer_segment(gold: Rows) -> None:
    columns = f"customer_id, segment, recency_score, frequency_score, monetary_score, {VERSION}"
    found = gold(f"select {columns} from gold.dim_customer_segment where customer_segment_key > 0")
    assert found == [("C1", "hibernating", 1, 1, 1, at("03-03 00:00"), None, True, False, False, 1)]


def test_customer_current(gold: Rows) -> None:
    columns = "customer_id, loyalty_tier, is_deleted, segment, recency_score"
    found = gold(f"select {columns} from gold.customer_current order by customer_id")
    assert found == [("C1", "gold", False, "hibernating", 1), ("C2", "none", True, "prospect", None)]


def test_dim_date(gold: Rows) -> None:
    days = "from gold.dim_date where date_key > 0"
    assert gold(f"select min(date), max(date), count(*) {days}") == [(date(2026, 1, 1), date(2026, 12, 31), 365)]
    monday = date(2026, 3, 2)
    expected = (20260302, monday, 2026, 1, 3, "March", 2, 1, "Monday", 2026, 10, monday, date(2026, 3, 1), False)
    assert gold(f"select * {days} and date_key = 20260302") == [expected]
    assert gold(f"select is_weekend, week_start_date {days} and date_key = 20260301") == [
        (True, monday - timedelta(days=7))
    ]


def test_dim_time_of_day(gold: Rows) -> None:
    assert gold("select count(*) from gold.dim_time_of_day where time_of_day_key >= 0") == [(1440,)]
    found = gold("select * from gold.dim_time_of_day where time_of_day_key in (0, 545, 720, 1439) order by all")
    assert found == [
        (0, "00:00", 0, 0, "night"),
        (545, "09:05", 9, 5, "morning"),
        (720, "12:00", 12, 0, "afternoon"),
        (1439, "23:59", 23, 59, "evening"),
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            "channel",
            [
                ("box_office", "box_office", "Box office", False, False, True),
                ("mobile", "mobile", "Mobile app", True, True, True),
                ("online", "online", "Online", True, True, True),
                ("store", "store", "Store", False, True, False),
            ],
        ),
        ("payment_method", [("card", "card"), ("cash", "cash")]),
        ("store", [("ST-01", "Main", "Kyoto", "JP", date(2020, 4, 1))]),
        ("supplier", [("SUP-01", "Acme", "JP", 7), ("SUP-02", None, None, None)]),
        ("theater", [("TH-01", "Hall 1", "Kyoto", 100)]),
        (
            "ticket_type",
            [
                ("4dx", "4dx", "4DX", True),
                ("child", "child", "Child", True),
                ("complimentary", "complimentary", "Complimentary", False),
                ("premium", "premium", "Premium", True),
                ("standard", "standard", "Standard", True),
                ("vip", "vip", "VIP", True),
            ],
        ),
        ("warehouse", [("WH-01", "Depot", "Osaka", "JP")]),
    ],
)
def test_a_dimension_without_history(table: str, expected: list[tuple[object, ...]], gold: Rows) -> None:
    key = f"{table}_key"
    assert gold(f"select * exclude ({key}) from gold.dim_{table} where {key} > 0 order by all") == expected


@pytest.mark.parametrize("model", of_kind("members", "history"), ids=lambda model: model.name)
def test_a_dimension_has_a_row_for_unknown_and_one_for_not_applicable(model, gold: Rows) -> None:
    key = model.header["key"].partition(": ")[0]
    assert gold(f"select {key} from {model.full_name} where {key} < 0 order by all") == [(-2,), (-1,)]
