"""The data sets for learning: they contain nothing after the cutoff, and their values are right."""

import random
from datetime import date

import pytest

from tests.warehouse.marts.mart_tables import Gold, anything, moment

CUTOFF = "2026-01-20T12:00:00Z"
DATA_SETS = (
    f"marts.churn_features('{CUTOFF}')",
    f"marts.recommendation_interactions('{CUTOFF}')",
    f"marts.demand_forecast_features('{CUTOFF}', 7)",
    f"marts.demand_forecast_features('{CUTOFF}', 1)",
)


@pytest.fixture
def gold() -> Gold:
    gold = Gold()
    gold.clock("2026-01-31")
    return gold


@pytest.mark.parametrize("seed", range(4))
def test_no_event_that_happened_or_arrived_after_the_cutoff_changes_a_row(gold: Gold, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        at = moment(chance, date(2025, 12, 1), date(2026, 1, 19))
        anything(gold, chance, at, recorded=at)
    before = [sorted(gold.rows(f"from {name}"), key=repr) for name in DATA_SETS]
    assert all(before)
    for _ in range(60):
        late = moment(chance, date(2026, 1, 21), date(2026, 1, 31))
        at = late if chance.random() < 0.5 else moment(chance, date(2025, 10, 1), date(2026, 1, 20))
        anything(gold, chance, at, recorded=late)
    # an event that its producer stamped as recorded before it happened is still in the future
    anything(gold, chance, "2026-01-20 12:00:01", recorded="2026-01-19 10:00:00")
    gold.clock("2026-02-28")
    assert [sorted(gold.rows(f"from {name}"), key=repr) for name in DATA_SETS] == before


def test_an_event_at_the_cutoff_is_included(gold: Gold) -> None:
    gold.sale("2026-01-20 12:00", customer="C1")
    gold.sale("2026-01-20 12:00", customer="C2", recorded="2026-01-20 12:00:01")
    gold.sale("2026-01-20 12:00:01", customer="C3")
    assert gold.rows(f"select customer_id from marts.churn_features('{CUTOFF}')") == [("C1",)]


def test_churn_features_describe_the_past_of_a_customer(gold: Gold) -> None:
    gold.sale("2025-01-05 12:00", customer="C1", price=100)  # more than 365 days before
    gold.sale("2025-12-01 12:00", ["P1", "P2"], customer="C1", price=20, discount=5, channel="online")
    gold.booking("2026-01-10 12:00", customer="C1", seats=2, price=12, concession=6)
    gold.sale("2026-01-12 12:00", ["P1"], customer="C1", price=20, discount=5, kind="return")
    gold.review("2026-01-13 12:00", 4, customer="C1", product="P1")
    gold.sale("2026-01-12 12:00", customer="C2", kind="return")  # never bought: no row
    (row,) = gold.dicts(f"from marts.churn_features('{CUTOFF}')")
    assert row["customer_id"] == "C1"
    assert (row["tenure_days"], row["recency_days"]) == (380.0, 10.0)
    assert (row["purchase_days"], row["mean_gap_days"]) == (3, 370 / 2)
    assert row["overdue_ratio"] == pytest.approx(10 / 185)
    assert [row[f"purchases_{days}_days"] for days in (30, 90, 365)] == [1, 2, 2]
    assert [row[f"money_{days}_days"] for days in (30, 90, 365)] == [15.0, 45.0, 45.0]
    assert (row["sales_365_days"], row["bookings_365_days"], row["taken_back"]) == (1, 1, 1)
    assert row["online_share"] == pytest.approx(1 / 3)
    assert row["discount_share"] == pytest.approx(10 / 140)
    assert (row["distinct_products"], row["reviews"], row["mean_rating"]) == (2, 1, 4.0)


def test_churn_labels_exist_once_the_watermark_is_past_their_days(gold: Gold) -> None:
    gold.sale("2026-01-01 12:00", customer="C1")
    gold.sale("2026-01-01 12:00", customer="C2")
    gold.sale("2026-01-20 12:00", customer="C1")  # at the cutoff: past, not future
    gold.booking("2026-01-27 12:00", customer="C2")  # the last instant of seven days
    gold.sale("2026-01-25 12:00", customer="C3")  # unknown at the cutoff
    labels = f"from marts.churn_labels('{CUTOFF}', days := 7) order by customer_id"
    gold.clock("2026-01-26", watermark="2026-01-27 11:59:59")
    assert gold.rows(labels) == []
    gold.clock("2026-01-26", watermark="2026-01-27 12:00")
    assert gold.rows(labels) == [("C1", 0, True), ("C2", 1, False)]
    assert gold.rows(f"from marts.churn_labels('{CUTOFF}')") == []  # 90 days have not passed


def test_interactions_keep_the_latest_rating_and_split_by_the_first_interaction(gold: Gold) -> None:
    gold.sale("2025-12-01 12:00", ["P1"], customer="C1", quantity=3)
    gold.sale("2026-01-19 12:00", ["P1"], customer="C1", quantity=1, kind="return")
    gold.review("2026-01-02 12:00", 2, customer="C1", product="P1")
    gold.review("2026-01-03 12:00", 5, customer="C1", product="P1")
    gold.booking("2026-01-15 12:00", customer="C1", title="P1", seats=2)  # a title of the same id is another item
    gold.sale("2026-01-15 12:00", ["P1"], customer=None)
    rows = gold.rows(
        "select item_type, item_id, purchases, units, money_amount, rating, days_since_last, split"
        f" from marts.recommendation_interactions('{CUTOFF}') order by item_type"
    )
    assert rows == [
        ("product", "P1", 1, 2, 20.0, 5, 1.0, "train"),
        ("title", "P1", 1, 2, 24.0, None, 5.0, "test"),
    ]
    wide = (
        f"select count(*) from marts.recommendation_interactions('{CUTOFF}', holdout_days := 60) where split = 'test'"
    )
    assert gold.one(wide) == (2,)


def test_recommendation_labels_distinguish_new_from_known_items(gold: Gold) -> None:
    gold.sale("2026-01-01 12:00", ["P1"], customer="C1")
    gold.sale("2026-01-22 12:00", ["P1", "P2"], customer="C1")
    gold.booking("2026-01-22 12:00", customer="C1", title="T1")
    labels = (
        "select item_type, item_id, purchases, is_new from marts.recommendation_labels('{}', days := 7) order by 1, 2"
    )
    assert gold.rows(labels.format(CUTOFF)) == [
        ("product", "P1", 1, False),
        ("product", "P2", 1, True),
        ("title", "T1", 1, True),
    ]
    assert gold.rows(labels.format("2026-01-30T12:00:00Z")) == []


def test_the_demand_grid_is_dense_from_the_first_event_to_the_horizon(gold: Gold) -> None:
    gold.sale("2026-01-10 12:00", ["P1"], quantity=4)
    gold.sale("2026-01-12 12:00", ["P1"], quantity=2, kind="return")
    gold.movement("2026-01-18 12:00", 5, "P2")
    gold.sale("2026-01-20 11:00", ["P1"], quantity=50)  # the cutoff's own day has not ended
    rows = gold.rows(
        "select product_id, min(date)::varchar, max(date)::varchar, count(*), sum(units), count(units)"
        f" from marts.demand_forecast_features('{CUTOFF}', 3) group by 1 order by 1"
    )
    assert rows == [("P1", "2026-01-10", "2026-01-22", 13, 4, 10), ("P2", "2026-01-18", "2026-01-22", 5, 0, 2)]


def test_every_data_set_needs_only_a_cutoff(gold: Gold) -> None:
    for day in range(1, 25):
        gold.sale(f"2026-01-{day:02} 12:00", ["P1"])
    for name in ("demand_forecast_features", "demand_forecast_labels"):
        week = gold.rows(f"from marts.{name}('2026-01-10', 7) order by all")
        assert gold.rows(f"from marts.{name}('2026-01-10') order by all") == week != []
    assert gold.rows("from marts.churn_features('2026-01-10')")
    assert gold.rows("from marts.recommendation_interactions('2026-01-10')")


def test_windows_end_the_horizon_before_the_day(gold: Gold) -> None:
    for day in range(1, 20):
        gold.sale(f"2026-01-{day:02} 12:00", ["P1"], quantity=day, price=2)
    rows = {
        row["date"].day: row
        for row in gold.dicts("from marts.demand_forecast_features('2026-01-20', 3)")
    }  # fmt: skip
    assert rows[19]["units"] == 19 and rows[20]["units"] is None
    assert rows[20]["units_lag"] == 17
    assert rows[20]["units_same_weekday"] == 13
    assert rows[20]["mean_units_7_days"] == sum(range(11, 18)) / 7
    assert rows[20]["mean_units_28_days"] == sum(range(1, 18)) / 17
    assert rows[20]["mean_price_28_days"] == 2.0
    assert rows[3]["mean_units_7_days"] is None and rows[4]["mean_units_7_days"] == 1.0
    assert rows[20]["product_age_days"] == 19
    assert [rows[day]["split"] for day in (1, 13, 14, 16, 17, 19, 20, 22)] == [
        "train", "train", "validation", "validation", "test", "test", "forecast", "forecast",
    ]  # fmt: skip


def test_a_longer_horizon_still_finds_the_latest_same_weekday(gold: Gold) -> None:
    for day in range(1, 20):
        gold.sale(f"2026-01-{day:02} 12:00", ["P1"], quantity=day)
    for horizon, found in ((7, 13), (8, 6), (14, 6)):
        sql = f"select units_same_weekday from marts.demand_forecast_features('2026-01-20', {horizon})"
        assert gold.one(f"{sql} where date = '2026-01-20'") == (found,)


def test_stock_outs_are_flagged_on_the_day_and_in_the_window(gold: Gold) -> None:
    gold.movement("2026-01-01 08:00", 5, "P1")
    gold.sale("2026-01-03 12:00", ["P1"], quantity=5)
    gold.movement("2026-01-06 08:00", 9, "P1")
    rows = gold.rows(
        "select date::varchar, is_stocked_out, stock_lag, stock_out_days_28_days"
        " from marts.demand_forecast_features('2026-01-08', 2) order by date"
    )
    assert rows == [
        ("2026-01-01", False, None, None),
        ("2026-01-02", False, None, None),
        ("2026-01-03", True, 5, 0),
        ("2026-01-04", True, 5, 0),
        ("2026-01-05", True, 0, 1),
        ("2026-01-06", False, 0, 2),
        ("2026-01-07", False, 0, 3),
        ("2026-01-08", None, 9, 3),
        ("2026-01-09", None, 9, 3),
    ]


def test_demand_labels_are_the_sales_of_the_forecast_days_that_have_ended(gold: Gold) -> None:
    gold.sale("2026-01-01 12:00", ["P1"])
    gold.movement("2026-01-01 12:00", 5, "P2")
    gold.sale("2026-01-20 13:00", ["P1"], quantity=3)
    gold.sale("2026-01-20 14:00", ["P1"], quantity=1, kind="return")
    gold.sale("2026-01-21 12:00", ["P1", "P9"], quantity=7)
    gold.clock("2026-01-20")
    rows = gold.rows(
        f"select product_id, date::varchar, units from marts.demand_forecast_labels('{CUTOFF}', 7) order by 1"
    )
    assert rows == [("P1", "2026-01-20", 3), ("P2", "2026-01-20", 0)]


@pytest.mark.parametrize(
    "cutoff", ["timestamptz '2026-01-20 12:00:00+00'", "timestamp '2026-01-20 12:00:00'", f"'{CUTOFF}'"]
)
def test_a_cutoff_may_be_an_instant_a_utc_timestamp_or_a_text(gold: Gold, cutoff: str) -> None:
    gold.sale("2026-01-20 12:00", customer="C1")
    gold.sale("2026-01-20 12:00:01", customer="C2")
    assert gold.rows(f"select customer_id from marts.churn_features({cutoff})") == [("C1",)]


def test_quantities_beyond_bigint_do_not_stop_a_data_set(gold: Gold) -> None:
    most = 2**63 - 1
    for hour in (10, 11):
        gold.sale(f"2026-01-05 {hour}:00", quantity=most, price=1)
        gold.movement(f"2026-01-05 {hour}:00", -most)
    gold.sale("2026-01-05 10:00", ["P2"], customer="C2")
    units = gold.rows("select item_id, units from marts.recommendation_interactions('2026-01-10') order by 1")
    assert units == [("P1", most), ("P2", 1)]
    found = gold.rows(
        "select product_id, units, stock_lag from marts.demand_forecast_features('2026-01-10', 1)"
        " where date in ('2026-01-05', '2026-01-06') order by product_id, date"
    )
    assert found == [("P1", most, None), ("P1", 0, -most - 1), ("P2", 1, None), ("P2", 0, -1)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles"])
def test_days_are_utc_days_in_any_session_time_zone(gold: Gold, zone: str) -> None:
    gold.sale("2026-01-05 10:00")
    gold.sale("2026-01-06 10:00")
    gold.connection.execute(f"set timezone = '{zone}'")
    for cutoff in ("'2026-01-05 23:30:00+00'::timestamptz", "date '2026-01-05'", "'2026-01-05'"):
        assert gold.rows(f"select frequency, t from marts.customer_purchases({cutoff})") == [(0, 0)]
        assert gold.rows(f"select as_of_date::varchar, shop_customers from marts.cross_sell_rate({cutoff}, 1)") == [
            ("2026-01-05", 1)
        ]
