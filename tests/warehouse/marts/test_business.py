"""The business marts: each definition on a handful of literal rows."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.marts.mart_tables import Gold, models, utc


@pytest.fixture
def gold() -> Gold:
    gold = Gold()
    gold.clock("2026-01-31")
    return gold


def day(gold: Gold, date: str, net: float, **columns: Any) -> None:
    given: dict[str, Any] = {
        "gross_margin_amount": net / 2, "lines_without_cost": 0, "units": 1, "orders": 1, "admissions": 10,
        "ticket_revenue_amount": 100, "concession_amount": 5, "is_final": False, "late_correction_amount": 0,
    }  # fmt: skip
    gold.insert("marts.daily_summary", date=date, net_sales_amount=net, **(given | columns))


def test_every_column_of_a_mart_is_described_in_order(gold: Gold) -> None:
    for model in models():
        if model.kind != "macro":
            found = [name for (name,) in gold.rows(f"select column_name from (describe {model.full_name})")]
            assert found == list(model.columns), model.full_name


def test_a_week_is_iso_and_adds_up_its_days(gold: Gold) -> None:
    gold.clock("2026-01-12", final="2026-01-04")
    for date, net in (("2025-12-29", 1.5), ("2026-01-04", 2), ("2026-01-05", 4), ("2026-01-12", 8)):
        day(gold, date, net, late_correction_amount=net / 2)
    rows = gold.rows(
        "select iso_week, week_start_date::varchar, days, net_sales_amount, admissions, is_final,"
        " late_correction_amount, previous_net_sales_amount, net_sales_change"
        " from marts.weekly_summary order by week_start_date"
    )
    assert rows == [
        ("2026-W01", "2025-12-29", 2, Decimal("3.5"), 20, True, Decimal("1.75"), None, None),
        ("2026-W02", "2026-01-05", 1, Decimal(4), 10, False, Decimal(2), Decimal("3.5"), 0.5 / 3.5),
        ("2026-W03", "2026-01-12", 1, Decimal(8), 10, False, Decimal(4), Decimal(4), 1.0),
    ]


def test_the_margin_of_a_period_is_null_only_where_it_has_lines_and_no_cost_is_known(gold: Gold) -> None:
    empty = {"units": 0, "orders": 0, "gross_margin_amount": 0}
    day(gold, "2026-01-05", 0, **empty)
    day(gold, "2026-01-12", 0, **empty)
    day(gold, "2026-01-13", 7, gross_margin_amount=None, lines_without_cost=2)
    day(gold, "2026-01-19", 8, gross_margin_amount=3, lines_without_cost=1)
    rows = gold.rows("select gross_margin_amount, lines_without_cost from marts.weekly_summary order by 1 nulls last")
    assert rows == [(Decimal(0), 0), (Decimal(3), 1), (None, 2)]


def test_a_week_compares_with_the_same_weekdays_and_a_month_with_the_same_month_last_year(gold: Gold) -> None:
    for date, net in (("2025-02-28", 10), ("2025-03-03", 5), ("2026-02-01", 30), ("2026-03-02", 6)):
        day(gold, date, net)
    assert gold.rows(
        "select iso_week, last_year_net_sales_amount, net_sales_change_on_year from marts.weekly_summary"
        " where last_year_net_sales_amount is not null"
    ) == [("2026-W10", Decimal(5), pytest.approx(0.2))]
    assert gold.rows(
        "select month, last_year_net_sales_amount, net_sales_change_on_year, last_year_admissions"
        " from marts.monthly_summary where last_year_net_sales_amount is not null order by month"
    ) == [("2026-02", Decimal(10), 2.0, 10), ("2026-03", Decimal(5), pytest.approx(0.2), 10)]


def test_the_change_from_zero_to_zero_is_null(gold: Gold) -> None:
    day(gold, "2026-01-05", 0)
    day(gold, "2026-01-12", 3)
    assert gold.rows("select net_sales_change from marts.weekly_summary") == [(None,), (None,)]


def test_a_change_has_the_right_sign_after_a_negative_period(gold: Gold) -> None:
    for date, net in (("2026-01-05", -40), ("2026-01-12", 40), ("2026-01-19", -10)):
        day(gold, date, net)
    changes = gold.rows("select net_sales_change from marts.weekly_summary order by week_start_date")
    assert changes == [(None,), (2.0,), (-1.25,)]


def test_a_day_is_compared_with_the_day_before_and_the_same_weekday_last_year(gold: Gold) -> None:
    day(gold, "2025-03-03", 5)
    day(gold, "2026-03-01", -4, admissions=0)
    day(gold, "2026-03-02", 6)
    assert gold.rows(
        "select date, previous_net_sales_amount, net_sales_change, previous_admissions, admissions_change,"
        " last_year_date, last_year_net_sales_amount, net_sales_change_on_year, last_year_admissions"
        " from marts.daily_comparison where date >= '2026-01-01' order by date"
    ) == [
        (dt.date(2026, 3, 1), None, None, None, None, dt.date(2025, 3, 2), None, None, None),
        (dt.date(2026, 3, 2), Decimal(-4), 2.5, 0, None, dt.date(2025, 3, 3), Decimal(5), pytest.approx(0.2), 10),
    ]


def test_product_performance_counts_returns_margin_reviews_and_deliveries(gold: Gold) -> None:
    gold.product("P1")
    gold.product("P2", key=2)
    gold.movement("2026-01-01 08:00", 20)
    gold.movement("2026-01-02 08:00", -3, kind="shrinkage")
    gold.sale("2026-01-03 10:00", quantity=8, price=10, discount=5, cost=6)
    gold.sale("2026-01-03 11:00", quantity=1, price=10, cost=None)
    gold.sale("2026-01-04 10:00", quantity=2, price=10, cost=6, kind="return")
    gold.review("2026-01-05 10:00", 5, product="P1")
    gold.review("2026-01-05 11:00", 2, product="P1")
    gold.review("2026-01-05 11:00", 1, title="P1")
    one, two = gold.dicts("from marts.product_performance order by product_id")
    assert (one["units_sold"], one["units_returned"], one["net_units"]) == (9, 2, 7)
    assert one["net_sales_amount"] == Decimal(75 + 10 - 20)
    assert one["gross_margin_amount"] == Decimal(75 - 48 - 20 + 12)
    assert one["margin_ratio"] == pytest.approx(19 / 55)  # of the lines whose cost is known
    assert one["lines_without_cost"] == 1
    assert one["return_rate"] == pytest.approx(2 / 9)
    assert (one["units_received"], one["sell_through"]) == (20, 7 / 20)
    assert (one["review_count"], one["review_score"]) == (2, 3.5)
    assert (two["units_sold"], two["net_sales_amount"], two["gross_margin_amount"]) == (0, 0, None)
    assert (two["return_rate"], two["review_score"], two["abc_class"]) == (None, None, "C")


def test_abc_classes_split_at_80_and_95_percent_with_ties_by_id(gold: Gold) -> None:
    sales = {"P1": 40, "P2": 40, "P3": 10, "P4": 5, "P5": 5, "P6": -30}
    for key, (product, amount) in enumerate(sales.items(), 1):
        gold.product(product, key=key)
        gold.sale("2026-01-01 10:00", [product], price=abs(amount), kind="sale" if amount > 0 else "return")
    rows = gold.rows("select product_id, sales_rank, abc_class from marts.product_performance order by sales_rank")
    assert rows == [("P1", 1, "A"), ("P2", 2, "A"), ("P3", 3, "B"), ("P4", 4, "B"), ("P5", 5, "C"), ("P6", 6, "C")]


def test_abc_classes_are_right_for_the_largest_amounts(gold: Gold) -> None:
    for key, product in enumerate(("P1", "P2"), 1):
        gold.product(product, key=key)
        gold.sale("2026-01-01 10:00", [product], price=Decimal("99999999999999.9999"), quantity=2**63 - key)
    rows = gold.rows("select product_id, abc_class from marts.product_performance order by sales_rank")
    assert rows == [("P1", "A"), ("P2", "A")]


def test_a_product_shows_its_latest_version_only(gold: Gold) -> None:
    gold.product("P1", key=1, version=1, name="old")
    gold.product("P1", key=2, version=2, name="new", is_deleted=True)
    gold.product("unknown", key=-1)
    assert gold.rows("select product_id, name from marts.product_performance") == [("P1", "new")]


def test_inventory_health_is_movements_less_sales(gold: Gold) -> None:
    gold.product("P1", reorder_point=5)
    gold.movement("2025-12-20 08:00", 60)
    gold.movement("2026-01-10 08:00", -2, kind="shrinkage")
    gold.sale("2025-12-31 10:00", quantity=10)
    gold.sale("2026-01-04 10:00", quantity=28)  # first of the 28 days that end with 31 January
    gold.sale("2026-01-20 10:00", quantity=15)
    gold.sale("2026-01-21 10:00", quantity=1, kind="return")
    gold.sale("2026-02-01 10:00", quantity=1)  # a day that has not ended counts for the stock alone
    row = gold.dicts("from marts.inventory_health")[0]
    assert row["on_hand"] == 60 - 2 - 10 - 28 - 15 + 1 - 1
    assert row["net_units_28_days"] == 28 + 15 - 1
    assert row["mean_daily_units"] == 1.5
    assert row["days_of_supply"] == pytest.approx(5 / 1.5)
    assert (row["stock_out_days"], row["reorder_now"]) == (0, True)
    assert str(row["last_delivery_date"]) == "2025-12-20"


def test_stock_out_days_are_ended_days_that_end_without_stock(gold: Gold) -> None:
    gold.product("P1")
    gold.product("P2", key=2)
    gold.movement("2026-01-10 08:00", 3)
    gold.sale("2026-01-12 10:00", quantity=3)  # empty on 12, 13, 14 January
    gold.movement("2026-01-15 08:00", 4)
    gold.sale("2026-01-31 10:00", quantity=5)  # oversold on the last day
    rows = gold.rows(
        "select product_id, on_hand, stock_out_days, days_of_supply from marts.inventory_health order by 1"
    )
    assert rows == [("P1", -1, 4, 0.0), ("P2", 0, 0, None)]


def test_discontinued_and_deleted_products_are_not_reordered(gold: Gold) -> None:
    gold.product("P1", status="discontinued")
    gold.product("P2", key=2, is_deleted=True)
    gold.product("P3", key=3)
    rows = gold.rows("select product_id, reorder_now from marts.inventory_health order by 1")
    assert rows == [("P1", False), ("P2", False), ("P3", True)]


def test_channel_conversion_has_the_first_channel_and_the_time_to_the_other_area(gold: Gold) -> None:
    gold.sale("2026-01-01 10:00", customer="C1", channel="online")
    gold.sale("2026-01-02 10:00", customer="C1", channel="store")
    gold.booking("2026-01-11 10:00", customer="C1")
    gold.sale("2026-01-01 10:00", customer="C2", channel="online")
    gold.booking("2026-01-01 10:00", customer="C3", channel="mobile")
    gold.sale("2026-01-01 10:00", customer="C3")  # at one instant the cinema is first
    gold.sale("2026-01-01 10:00", customer=None)
    gold.sale("2026-01-01 09:00", customer="C4", kind="return")  # a return is no beginning
    gold.booking("2026-01-03 10:00", customer="C4")
    gold.booking("2026-01-03 11:00", customer="C4", kind="cancellation")
    rows = gold.rows(
        "select first_area, first_channel, customers, converted_customers, conversion_rate, mean_days_to_second,"
        " median_days_to_second, seconds_to_second from marts.channel_conversion order by 1, 2"
    )
    assert rows == [
        ("cinema", "box_office", 1, 0, 0.0, None, None, None),
        ("cinema", "mobile", 1, 1, 1.0, 0.0, 0.0, 0.0),
        ("shop", "online", 2, 1, 0.5, 10.0, 10.0, 864000.0),
    ]


def test_the_cross_sell_rate_is_both_divided_by_either_in_90_days(gold: Gold) -> None:
    gold.sale("2026-01-01 10:00", customer="C1")
    gold.booking("2026-01-31 10:00", customer="C1")
    gold.sale("2026-01-05 10:00", customer="C2")
    gold.booking("2025-11-03 10:00", customer="C3")  # 90 days with 31 January: the first is 3 November
    gold.booking("2025-11-02 10:00", customer="C2")  # a day too early
    gold.sale("2026-02-01 10:00", customer="C3")  # a day too late
    gold.sale("2026-01-05 10:00", customer="C4", kind="return")
    columns = "shop_customers, cinema_customers, both_customers, either_customers, cross_sell_rate"
    assert gold.one(f"select {columns} from marts.cross_sell_rate('2026-01-31')") == (2, 2, 1, 3, pytest.approx(1 / 3))
    assert gold.one(f"select {columns} from marts.cross_sell_rate(date '2026-01-31', days := 30)")[:4] == (1, 1, 0, 2)
    assert gold.one(f"select {columns} from marts.cross_sell_rate(date '2026-01-31', 31)")[:4] == (2, 1, 1, 2)
    assert gold.one(f"select {columns} from marts.cross_sell_rate('2020-01-31')") == (0, 0, 0, 0, None)


def test_affinity_has_the_standard_support_confidence_and_lift(gold: Gold) -> None:
    """The five baskets of Tan, Steinbach, Kumar, Introduction to Data Mining."""
    for number, basket in enumerate(
        (
            ["bread", "milk"],
            ["bread", "diapers", "beer", "eggs"],
            ["milk", "diapers", "beer", "cola"],
            ["bread", "milk", "diapers", "beer"],
            ["bread", "milk", "diapers", "cola"],
        )
    ):
        gold.sale(f"2026-01-0{number + 1} 10:00", [*basket, basket[0]])  # a product twice in a basket counts once
    gold.sale("2026-01-09 10:00", ["beer", "diapers"], kind="return")
    found = {
        (one, other): rest
        for one, other, *rest in gold.rows(
            "select antecedent_product_id, consequent_product_id, pair_count, support, confidence, lift"
            " from marts.product_affinity"
        )
    }
    assert found["diapers", "beer"] == [3, 0.6, 0.75, 1.25]
    assert found["beer", "diapers"] == [3, 0.6, 1.0, 1.25]
    assert found["bread", "milk"] == [3, 0.6, 0.75, 0.9375]
    assert ("beer", "cola") not in found  # together only once
    assert all(one != other and (other, one) in found for one, other in found)
    gold.connection.execute("set variable affinity_least_count = 1")
    assert gold.rows("select 1 from marts.product_affinity where consequent_product_id = 'eggs'")


def theaters(gold: Gold) -> None:
    gold.insert("gold.dim_theater", theater_key=1, theater_id="H1", seats=100)
    gold.insert("gold.dim_theater", theater_key=2, theater_id="H2", seats=10)
    gold.insert("gold.dim_theater", theater_key=3, theater_id="H3", seats=None)


def test_occupancy_is_a_ratio_of_sums_over_held_screenings_with_known_seats(gold: Gold) -> None:
    theaters(gold)
    gold.title("T1")
    gold.clock("2026-01-31", watermark="2026-02-01 12:00")
    gold.booking("2026-01-05 10:00", screening="S1", theater="H1", seats=12, concession=6)
    gold.booking("2026-01-05 11:00", screening="S1", theater="H1", seats=2, kind="cancellation", concession=1)
    gold.booking(
        "2026-01-05 10:00", screening="S2", theater="H2", seats=10, starts="2026-02-01 12:00"
    )  # at the watermark
    gold.booking(
        "2026-01-05 10:00", screening="S3", theater="H2", seats=5, starts="2026-02-01 12:00:01"
    )  # not yet held
    gold.booking("2026-01-05 10:00", screening="S4", theater="H3", seats=7)  # unknown seats
    gold.booking("2026-01-05 10:00", screening="S5", theater="H9", seats=7)  # unknown hall
    row = gold.dicts("from marts.title_performance")[0]
    assert row["admissions"] == 12 - 2 + 10 + 5 + 7 + 7
    assert (row["bookings"], row["cancellations"], row["screenings_held"], row["held_seats"]) == (5, 1, 4, 110)
    assert row["occupancy"] == pytest.approx(20 / 110)
    assert row["concession_per_cap"] == pytest.approx(5 / 39)
    assert row["ticket_revenue_amount"] == Decimal(39 * 12)


def test_a_screening_with_cancellations_only_is_not_held(gold: Gold) -> None:
    theaters(gold)
    gold.clock("2026-01-31", watermark="2026-02-01 12:00")
    gold.booking("2026-01-05 10:00", screening="S1", title="T1", theater="H1", kind="cancellation")
    gold.booking("2026-01-05 10:00", screening="S2", title="T1", theater="H1", seats=3)
    gold.booking(
        "2026-01-05 11:00", screening="S2", title="T2", theater="H2", starts="2026-03-01 12:00", kind="cancellation"
    )
    found = gold.rows(
        "select screening_id, title_id, theater_id, date, is_held, admissions, seated_admissions"
        " from marts.screenings order by screening_id"
    )
    assert found == [
        ("S1", "T1", "H1", dt.date(2026, 1, 10), False, -2, 0),
        ("S2", "T1", "H1", dt.date(2026, 1, 10), True, 1, 1),
    ]


def test_a_title_without_screenings_has_no_occupancy(gold: Gold) -> None:
    gold.title("T1")
    row = gold.dicts("from marts.title_performance")[0]
    assert (row["admissions"], row["occupancy"], row["concession_per_cap"], row["halo_uplift"]) == (0, None, None, None)


def test_the_shop_halo_is_merchandise_around_the_run_against_all_other_days(gold: Gold) -> None:
    gold.title("T1", run_start="2026-03-01", run_end="2026-03-10")
    gold.product("P1", key=11, title_id="T1")
    gold.product("P2", key=12, title_id=None)
    gold.sale(
        "2026-01-01 10:00", ["P1"], price=31, product_key=11
    )  # history begins: 31 other days in January, and 1 February
    gold.sale("2026-02-01 10:00", ["P1"], price=33, product_key=11)  # 28 days before the run
    gold.sale("2026-03-05 10:00", ["P1"], price=100, product_key=11)
    gold.sale("2026-04-07 10:00", ["P1"], price=33, product_key=11)  # 28 days after it
    gold.sale("2026-04-08 10:00", ["P1"], price=1, product_key=11)  # another day
    gold.sale("2026-03-05 10:00", ["P2"], price=999, product_key=12)
    row = gold.dicts("from marts.title_performance")[0]
    assert row["merchandise_net_sales_amount"] == 198
    assert row["halo_days"] == 28 + 10 + 28
    assert row["halo_net_sales_amount"] == 166
    assert row["halo_uplift"] == pytest.approx((166 / 66) / (32 / 32))


def test_clv_inputs_follow_the_published_definitions(gold: Gold) -> None:
    gold.sale("2026-01-01 10:00", customer="C1", price=100)
    gold.booking("2026-01-01 20:00", customer="C1")  # the same day is no repeat
    gold.sale("2026-01-11 10:00", customer="C1", price=30)
    gold.booking("2026-01-11 11:00", customer="C1", seats=1, price=12, concession=3)
    gold.sale("2026-01-15 10:00", customer="C1", price=7, kind="return")  # no purchase day: margin and revenue only
    gold.sale("2026-01-21 23:59:59", customer="C1", price=15)
    gold.sale("2026-01-31 10:00", customer="C2", price=9)
    gold.sale("2026-02-01 00:00", customer="C1", price=500)  # this day has not ended
    gold.sale("2026-02-01 00:00", customer="C3", price=500)
    gold.sale("2026-01-02 00:00", customer=None, price=500)
    rows = gold.rows(
        "select customer_id, frequency, recency, t, monetary_value, lifetime_revenue_amount, historical_clv,"
        " predicted_clv from marts.customer_value order by customer_id"
    )
    assert rows == [
        ("C1", 2, 20, 30, 30.0, Decimal(100 + 24 + 30 + 15 - 7 + 15), Decimal(94 + 24 - 1 + 9), None),
        ("C2", 0, 0, 0, 0.0, Decimal(9), Decimal(3), None),
    ]


def test_historical_clv_is_zero_without_lines_and_unknown_without_costs(gold: Gold) -> None:
    gold.booking("2026-01-01 10:00", customer="C1")
    gold.sale("2026-01-01 10:00", customer="C2", cost=None)
    rows = gold.rows("select historical_clv, lines_without_cost from marts.customer_value order by customer_id")
    assert rows == [(Decimal(0), 0), (None, 1)]


def test_segments_show_the_numbers_of_the_365_days_before(gold: Gold) -> None:
    gold.sale("2025-01-31 10:00", customer="C1", price=1000)  # 366 days with 31 January
    gold.sale("2025-02-01 10:00", customer="C1", price=10)
    gold.booking("2026-01-21 10:00", customer="C1", seats=1)
    gold.sale("2025-01-31 10:00", customer="C2")
    gold.insert(
        "gold.dim_customer_segment",
        customer_segment_key=1,
        customer_id="C1",
        valid_from=utc("2026-01-22 00:00"),
        is_current=True,
    )
    gold.insert("gold.dim_customer_segment", customer_segment_key=-1, customer_id="C2", is_current=True)
    for customer, segment, score in (("C1", "loyal", 3), ("C2", "lapsed", None), ("C3", "prospect", None)):
        gold.insert("gold.customer_current", customer_id=customer, segment=segment, monetary_score=score)
    rows = gold.rows(
        "select customer_id, segment, monetary_score, segment_since_date::varchar, recency_days, frequency,"
        " monetary_amount from marts.customer_segments order by customer_id"
    )
    assert rows == [
        ("C1", "loyal", 3, "2026-01-22", 10, 2, Decimal(22)),
        ("C2", "lapsed", None, None, None, None, None),
        ("C3", "prospect", None, None, None, None, None),
    ]
    summary = gold.rows(
        "select segment, customers, mean_monetary, monetary_share from marts.segment_summary order by 1"
    )
    assert summary == [("lapsed", 1, None, 0.0), ("loyal", 1, 22.0, 1.0), ("prospect", 1, None, 0.0)]


def test_days_are_utc_days_in_every_session(gold: Gold) -> None:
    gold.sale("2026-01-01 00:30")
    for zone in ("America/New_York", "UTC", "Asia/Tokyo"):
        gold.connection.execute(f"set timezone = '{zone}'")
        assert gold.rows("select date::varchar from marts.product_daily") == [("2026-01-01",)]
        assert gold.rows("select marts.utc_us('2026-01-01'), marts.utc_us('2026-01-01T01:00:00+01:00')") == [
            (1767225600000000, 1767225600000000)
        ]
        assert gold.rows("select marts.utc_us(timestamp '2026-01-01'), marts.utc_us(date '2026-01-01')") == [
            (1767225600000000, 1767225600000000)
        ]
        assert gold.rows("select marts.utc_us(timestamptz '2026-01-01 00:00:00.000001Z')") == [(1767225600000001,)]
