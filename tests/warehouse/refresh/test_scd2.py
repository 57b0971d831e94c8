"""History: versions of members, joins of facts, inferred members, deletes, personal data (R31-R34, R41)."""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime

from tests.warehouse.conftest import Rows
from tests.warehouse.silver_world import MICROSECOND, Silver, at

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
Take = Callable[..., None]
VERSIONS = (
    "select version, loyalty_tier, valid_from, valid_to, is_current, is_deleted from gold.dim_customer"
    " where customer_id = 'C1' order by version"
)


def key_of(natural: str, moment: datetime) -> int:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
    return int(hashlib.md5(f"{natural}|{micros}".encode()).hexdigest()[:16], 16) & ((1 << 63) - 1)


def test_a_version_key_depends_on_id_and_valid_from_only(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-05 12:00"), "C|1", "gold")
    silver.sale(at("03-01 12:00"), [("P1", 1, "5")], "C|1")
    take(silver)
    found = rows("select customer_key from gold.dim_customer where customer_id = 'C|1' order by version")
    assert found == [(key_of("C|1", BEGINNING),), (key_of("C|1", at("03-05 12:00")),)]
    assert rows("select channel_key from gold.dim_channel where channel_id = 'store'") == [
        (key_of("store", BEGINNING),)
    ]


def test_a_backdated_change_splits_the_version_valid_at_its_time(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "none")
    silver.customer(at("03-10 00:00"), "C1", "gold")
    for day in ("03-02", "03-06", "03-11"):
        silver.sale(at(f"{day} 12:00"), [("P1", 1, "5")], "C1")
    take(silver)
    silver.customer(at("03-05 00:00"), "C1", "silver")
    take(silver)
    assert [(version, tier) for version, tier, *_ in rows(VERSIONS)] == [(1, "none"), (2, "silver"), (3, "gold")]
    joined = rows(
        "select loyalty_tier from gold.fct_sales join gold.dim_customer using (customer_key) order by event_time"
    )
    assert joined == [("none",), ("silver",), ("gold",)]


def test_a_change_of_type_1_columns_only_opens_no_version(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "gold", name="old")
    silver.customer(at("03-02 00:00"), "C1", "gold", name="new", preferred_genres=["drama"])
    take(silver)
    found = rows("select version, name, preferred_genres from gold.dim_customer where customer_id = 'C1'")
    assert found == [(1, "new", ["drama"])]


def test_of_changes_at_one_instant_only_the_last_in_the_log_counts(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "gold", partition=1)
    silver.customer(at("03-01 00:00"), "C1", "silver", partition=0)
    silver.customer(at("03-01 00:00"), "C1", "bronze", partition=-1)
    take(silver)
    assert [row[:2] for row in rows(VERSIONS)] == [(1, "gold")]


def test_a_delete_closes_the_version_and_an_equal_upsert_opens_a_new_one(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "gold")
    silver.delete(at("03-03 00:00"), customer_id="C1")
    silver.delete(at("03-04 00:00"), customer_id="C1")
    silver.customer(at("03-06 00:00"), "C1", "gold")
    take(silver)
    assert rows(VERSIONS) == [
        (1, "gold", at("03-01 00:00"), at("03-03 00:00"), False, True),
        (2, "gold", at("03-06 00:00"), None, True, False),
    ]


def test_a_fact_in_a_deletion_gap_joins_the_version_that_the_delete_closed(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-04 00:00"), [("P1", 1, "5")], "C1")
    silver.customer(at("03-01 00:00"), "C1", "gold")
    silver.delete(at("03-03 00:00"), customer_id="C1")
    silver.customer(at("03-06 00:00"), "C1", "none")
    take(silver)
    assert rows("select version from gold.fct_sales join gold.dim_customer using (customer_key)") == [(1,)]


def test_a_member_with_deletes_only_stays_inferred_while_a_fact_needs_it(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.delete(at("03-01 00:00"), customer_id="C1")
    take(silver)
    assert rows(VERSIONS) == []
    silver.sale(at("03-04 00:00"), [("P1", 1, "5")], "C1")
    take(silver)
    assert rows(VERSIONS) == [(0, None, BEGINNING, None, True, False)]


def test_an_inferred_member_gets_its_attributes_and_keeps_key_and_facts(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-01 00:00"), [("P1", 2, "5")], "C1")
    take(silver)
    before = rows("select customer_key, product_key from gold.fct_sales")
    silver.customer(at("03-02 00:00"), "C1", "gold")
    silver.product(at("03-02 00:00"), "P1", "3")
    take(silver)
    assert rows("select customer_key, product_key from gold.fct_sales") == before
    assert rows(VERSIONS)[0] == (0, "gold", BEGINNING, at("03-02 00:00"), False, False)
    # its cost before is unknown, not 0
    assert rows("select name, unit_cost from gold.dim_product where product_id = 'P1' and is_inferred") == [
        ("name of P1", None)
    ]
    assert rows("select cost_amount, gross_margin_amount from gold.fct_sales") == [(None, None)]
    assert rows("select gross_margin_amount, lines_without_cost from marts.daily_summary") == [(None, 1)]


def test_an_inferred_member_that_no_fact_needs_is_removed(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-05 00:00"), [("P1", 2, "5")], "C1")
    take(silver)
    silver.customer(at("03-05 00:00"), "C1", "gold")
    silver.product(at("03-01 00:00"), "P1", "3")
    take(silver)
    assert [row[0] for row in rows(VERSIONS)] == [1]
    assert rows("select cost_amount, gross_margin_amount from gold.fct_sales") == [(6, 4)]


def test_a_late_cost_restates_only_the_margins_of_its_time_span(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.product(at("03-01 00:00"), "P1", "3")
    for day in ("03-02", "03-04", "03-06"):
        silver.sale(at(f"{day} 00:00"), [("P1", 1, "10")])
    take(silver)
    silver.product(at("03-03 00:00"), "P1", "4")
    silver.product(at("03-05 00:00"), "P1", "3")
    take(silver)
    assert rows("select gross_margin_amount from gold.fct_sales order by event_time") == [(7,), (6,), (7,)]


def test_a_delete_blanks_earlier_names_and_not_those_of_a_later_sign_up(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "none", name="Ann")
    silver.customer(at("03-02 00:00"), "C1", "gold", name="Ann")
    take(silver)
    silver.delete(at("03-03 00:00"), customer_id="C1")
    silver.customer(at("03-04 00:00"), "C1", "none", name="Bea", birth_date=date(2000, 1, 1))
    take(silver)
    silver.customer(at("03-01 12:00"), "C1", "silver", name="Ann again")  # backdated, to before the delete
    take(silver)
    found = rows("select name, email, birth_date from gold.dim_customer where customer_id = 'C1' order by version")
    assert found[:3] == [(None, None, None)] * 3
    assert found[3] == ("Bea", "C1@example.org", date(2000, 1, 1))
    with_names = "select count(*) from work.dim_customer_changes where name like 'Ann%'"
    assert rows(with_names) == [(0,)]


def test_every_dimension_has_its_two_special_rows_and_guests_are_unknown(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-01 00:00"), [("P1", 1, "5")], channel="store")
    silver.review(at("03-01 00:00"), "C1", None, "A1")
    silver.customer(at("03-01 00:00"), "unknown", "gold")  # a name that somebody may well have
    take(silver)
    assert rows("select customer_key, store_key from gold.fct_sales") == [(-1, -1)]
    assert rows("select product_key from gold.fct_review") == [(-2,)]
    found = rows("select customer_key, name from gold.dim_customer where customer_key < 0 order by all")
    assert found == [(-2, "not applicable"), (-1, "unknown")]
