"""Facts, days, the clock, segments and restatements on a few literal rows."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines.silver.changes import SilverChanges
from tests.warehouse.conftest import Rows
from tests.warehouse.silver_world import NOW, TABLES, Silver, at, changes_of, partitions, random_silver
from warehouse.verify import gold_checks
from warehouse.writer import Warehouse

Take = Callable[..., None]


def published_refresh(file: Path) -> int | None:
    """The refresh that readers see."""
    if not file.exists():
        return None
    with duckdb.connect(str(file), read_only=True) as reader:
        found: int | None = reader.execute("select max(refresh_id) from gold.refreshes").fetchall()[0][0]
    return found


def test_a_return_is_negative_except_for_its_unit_price(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.product(at("03-01 00:00"), "P1", "3")
    silver.sale(at("03-01 12:00"), [("P1", 2, "10/1.5")], "C1", event_type="return", original_transaction_id="T9")
    take(silver)
    columns = "quantity, unit_price, discount_amount, net_sales_amount, cost_amount, gross_margin_amount"
    assert rows(f"select {columns} from gold.fct_sales") == [
        tuple(map(Decimal, ("-2", "10", "-1.5", "-18.5", "-6", "-12.5")))
    ]
    assert rows("select rule, rows from ops.gold_rule_counts order by all") == [
        ("over_cancelled", 0),
        ("unmatched_return", 1),
    ]


def test_amounts_are_exact_at_the_limits_of_their_types(take: Take, rows: Rows) -> None:
    most, price = (1 << 63) - 1, "99999999999999.9999"
    silver = Silver()
    silver.product(at("03-01 00:00"), "P1", price)
    silver.sale(at("03-01 12:00"), [("P1", most, f"{price}/0.0001")])
    take(silver)
    net = Decimal(f"{most * 10**18 - most - 1}e-4")  # 10^18 - 1 is the price in ten-thousandths
    assert rows("select net_sales_amount, gross_margin_amount from gold.fct_sales") == [(net, Decimal("-0.0001"))]
    assert rows("select net_sales_amount, units from marts.daily_summary") == [(net, most)]


def test_a_cancellation_negates_its_booking(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.booking(at("03-01 12:00"), "A1", 3, "12.5", concession_amount=Decimal(4))
    silver.booking(at("03-01 13:00"), "A1", 3, "12.5", event_type="cancellation", concession_amount=Decimal(4))
    take(silver)
    found = rows(
        "select admissions, ticket_revenue_amount, concession_amount from gold.fct_cinema_attendance order by 1"
    )
    assert found == [(-3, Decimal("-37.5"), -4), (3, Decimal("37.5"), 4)]
    assert rows("select admissions, ticket_revenue_amount, concession_amount from marts.daily_summary") == [(0, 0, 0)]


def test_stock_has_a_row_for_every_day_from_the_first_movement_on(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.movement(at("03-02 12:00"), "P1", 10)
    silver.movement(at("03-04 12:00"), "P1", 3, "shrinkage")
    take(silver)
    silver.sale(at("03-06 12:00"), [("P1", 1, "5")])  # days go on with any business event
    take(silver)
    silver.movement(at("03-03 12:00"), "P1", 5)  # late
    take(silver)
    found = rows("select on_hand from gold.fct_inventory_daily order by date")
    assert found == [(10,), (15,), (12,), (12,), (12,)]


def test_days_without_events_are_in_the_daily_summary(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5")])
    silver.sale(at("03-04 12:00"), [("P1", 1, "5")], transaction_id="T")
    silver.sale(at("03-04 13:00"), [("P1", 1, "5")], transaction_id="T")
    take(silver)
    assert rows("select date, orders, units from marts.daily_summary order by date") == [
        (date(2026, 3, 1), 1, 1), (date(2026, 3, 2), 0, 0), (date(2026, 3, 3), 0, 0), (date(2026, 3, 4), 1, 2),
    ]  # fmt: skip


def test_a_day_has_ended_when_every_business_topic_with_records_has_passed_its_end(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    minute, behind = timedelta(minutes=1), at("03-02 00:10")
    idle, longer = 5 * minute, 6 * minute
    ended = at("03-05 00:00") + 10 * minute
    cases = [
        ([("pos-transactions", 0, ended, ended)], date(2026, 3, 4)),
        ([("pos-transactions", 0, ended - timedelta(microseconds=1), ended)], date(2026, 3, 3)),
        # master data does not count, another business topic does
        ([("pos-transactions", 0, ended, ended), ("customer-profiles", 0, at("03-01 00:00"), ended)], date(2026, 3, 4)),
        ([("pos-transactions", 0, ended, ended), ("cinema-sales", 0, at("03-02 12:00"), ended)], date(2026, 3, 1)),
        # an idle partition does not hold the topic back; 5 minutes are not idle yet
        ([("pos-transactions", 0, ended, ended), ("pos-transactions", 1, behind, ended - idle)], date(2026, 3, 1)),
        ([("pos-transactions", 0, ended, ended), ("pos-transactions", 1, behind, ended - longer)], date(2026, 3, 4)),
        # a topic whose records are all broken has no watermark, so no day ends
        ([("pos-transactions", 0, ended, ended), ("cinema-sales", 0, None, ended)], None),
        ([], None),
    ]  # fmt: skip
    for states, expected in cases:
        warehouse.refresh(SilverChanges({}, {}, partitions(states)), NOW)
        found = warehouse._connection.execute("select last_ended_date from ops.gold_clock").fetchall()
        assert found == [(expected,)], states
    warehouse.close()


def test_final_days_follow_the_watermark_forward_and_backward(take: Take, rows: Rows) -> None:
    silver = Silver()
    for day in ("03-01", "03-02"):
        silver.sale(at(f"{day} 12:00"), [("P1", 1, "5")])
    final = "select is_final from marts.daily_summary order by date"
    take(silver, at("03-04 00:10"))
    assert rows(final) == [(True,), (False,)]
    take(silver, at("03-05 00:10"))
    assert rows(final) == [(True,), (True,)]
    take(silver, at("03-02 00:10"))
    assert rows(final) == [(False,), (False,)]


def test_segments_are_valid_from_the_next_day_and_a_customer_without_recent_purchases_lapses(
    take: Take, rows: Rows
) -> None:
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5")], "C1")
    silver.customer(at("03-01 12:00"), "C2")
    take(silver, at("03-02 00:10"))
    assert rows("select valid_from, valid_to from gold.dim_customer_segment where customer_segment_key > 0") == [
        (at("03-02 00:00"), None)
    ]
    assert rows("select segment from gold.customer_current where customer_id = 'C2'") == [("prospect",)]
    take(silver, at("03-02 00:10") + timedelta(days=365))
    assert rows("select valid_to from gold.dim_customer_segment where customer_segment_key > 0") == [
        (at("03-02 00:00") + timedelta(days=365),)
    ]
    assert rows("select segment, recency_score from gold.customer_current where customer_id = 'C1'") == [
        ("lapsed", None)
    ]


def test_restatements_report_how_late_data_changed_an_ended_day(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "100")])
    silver.sale(at("03-02 12:00"), [("P1", 1, "7")])
    take(silver, at("03-02 13:00"))
    assert rows("select * from ops.restatements") == []
    late = silver.sale(at("03-01 13:00"), [("P1", 1, "25")], arrival="late")
    take(silver, at("03-02 14:00"))
    columns = "date, value_before, value_after, delta, cause, event_count, event_ids, was_ended, was_final"
    assert rows(f"select {columns} from ops.restatements where kpi = 'net_sales_amount'") == [
        (date(2026, 3, 1), 100, 125, 25, "late", 1, [late["event_id"]], True, False)
    ]
    assert rows("select value_before, value_after from ops.restatements where kpi = 'orders'") == [(1, 2)]


def test_a_late_cost_of_an_ended_day_is_restated_as_master_data(take: Take, rows: Rows) -> None:
    silver = Silver()
    silver.product(at("03-01 00:00"), "P1", "3")
    silver.sale(at("03-01 12:00"), [("P1", 1, "10")])
    take(silver, at("03-02 13:00"))
    silver.product(at("03-01 06:00"), "P1", "4")
    take(silver, at("03-02 13:00"))
    found = rows("select kpi, value_before, value_after, cause from ops.restatements")
    assert found == [("gross_margin_amount", 7, 6, "master_data")]


@pytest.mark.parametrize("seed", range(4))
def test_late_restatements_add_up_to_the_late_correction_of_each_day(seed: int, take: Take, rows: Rows) -> None:
    silver = Silver()
    events = random_silver(seed)
    for number, end in enumerate((30, 60, len(events))):
        silver.rows = events[:end]
        take(silver, at(f"03-{2 + 9 * number:02d} 00:00"))
    off = rows(
        "select date, late_correction_amount, delta from marts.daily_summary left join ("
        "  select date, sum(delta) as delta from ops.restatements"
        "  where kpi = 'net_sales_amount' and cause = 'late' group by date) using (date)"
        " where late_correction_amount <> coalesce(delta, 0)"
    )
    assert off == []


def test_restatements_survive_a_rebuild_with_the_days_that_were_final(
    warehouse: Warehouse, take: Take, rows: Rows
) -> None:
    silver = Silver()
    silver.product(at("03-01 00:00"), "P1", "3")
    silver.sale(at("03-01 12:00"), [("P1", 1, "100")])
    silver.sale(at("03-05 12:00"), [("P1", 1, "7")])
    take(silver, at("03-05 13:00"))
    silver.product(at("03-01 06:00"), "P1", "4")  # of a final day
    silver.sale(at("03-05 01:00"), [("P1", 1, "25")], arrival="late")
    take(silver, at("03-06 14:00"))
    silver.sale(at("03-05 02:00"), [("P1", 2, "5")], arrival="late")
    take(silver, at("03-06 14:00"))
    query = "select kpi, cause, value_before, value_after, delta, event_count, event_ids, was_ended, was_final"
    query += " from ops.restatements order by refresh_id, kpi, cause"
    before = rows(query)
    assert {(cause, final) for _, cause, *_, final in before} == {("late", False), ("master_data", True)}

    warehouse.discard()
    warehouse.refresh(changes_of(silver.rows, at("03-06 14:00")), NOW)
    assert rows(query) == before
    assert rows("select max(refresh_id) from ops.restatements") == [(0,)]

    # a rebuild with an event that no restatement reports
    new = silver.sale(at("03-05 03:00"), [("P1", 1, "1")], arrival="late")
    warehouse.discard()
    warehouse.refresh(changes_of(silver.rows, at("03-06 14:00")), NOW)
    assert rows(query)[: len(before)] == before
    more = "select value_before, value_after, delta, event_count from ops.restatements where refresh_id = 1"
    assert rows(f"{more} and kpi = 'net_sales_amount'") == [(42, 43, 1, 1)]
    ids = rows("select event_ids from ops.restatements where refresh_id = 1 and kpi = 'units'")
    assert ids == [([new["event_id"]],)]

    # a rebuild from silver without late events: earlier restatements are reversed, so that the sums are right
    silver = Silver()
    silver.sale(at("03-05 12:00"), [("P1", 1, "7")])
    warehouse.discard()
    warehouse.refresh(changes_of(silver.rows, at("03-06 14:00")), NOW)
    assert rows(f"{more} and kpi = 'net_sales_amount'") == [(43, 7, -36, -3)]
    late_sums = "select distinct sum(delta), sum(event_count) from ops.restatements where cause = 'late' group by kpi"
    assert rows(late_sums) == [(0, 0)]


def test_a_rebuild_adds_no_restatement_for_events_that_earlier_rows_cover(
    warehouse: Warehouse, take: Take, rows: Rows
) -> None:
    silver = Silver()
    late = silver.sale(at("03-01 12:00"), [("P1", 1, "10")], arrival="late")  # no cost yet, so no margin either
    silver.sale(at("03-05 12:00"), [("P1", 1, "7")])
    take(silver, at("03-05 13:00"))
    silver.product(at("03-01 00:00"), "P1", "3")
    take(silver, at("03-05 13:00"))
    silver.sale(at("03-01 13:00"), [("P1", 1, "5")], arrival="late")
    take(silver, at("03-05 14:00"))
    silver.sale(at("03-01 14:00"), [("P1", 1, "2")], arrival="late", transaction_id=late["transaction_id"])
    take(silver, at("03-05 14:00"))
    before = rows("select * exclude refresh_id from ops.restatements order by refresh_id, kpi, cause")
    assert {kpi for _, _, _, kpi, *_ in before} >= {"gross_margin_amount", "orders", "units"}
    for _ in range(2):
        warehouse.discard()
        warehouse.refresh(changes_of(silver.rows, at("03-05 14:00")), NOW)
        assert rows("select * exclude refresh_id from ops.restatements order by refresh_id, kpi, cause") == before


@pytest.mark.parametrize("is_anew", [False, True])
def test_a_rebuild_keeps_restatements_that_were_committed_and_not_published(
    is_anew: bool, warehouse: Warehouse, take: Take, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "100")])
    silver.sale(at("03-05 12:00"), [("P1", 1, "7")])
    take(silver, at("03-05 13:00"))
    silver.sale(at("03-01 13:00"), [("P1", 1, "25")], arrival="late")
    with monkeypatch.context() as killed:
        killed.setattr(Warehouse, "_publish", lambda *_: None)
        take(silver, at("03-05 13:00"))
    assert rows("from ops.restatements") == []
    if is_anew:
        warehouse.close()
        warehouse = Warehouse(warehouse.gold_dir, discard_existing=True)
    else:
        warehouse.discard()
    warehouse.refresh(changes_of(silver.rows, at("03-05 13:00")), NOW)
    warehouse.close()
    found = rows("select distinct refresh_id, cause, was_ended, was_final, event_count from ops.restatements")
    assert found == [(0, "late", True, True, 1)]


def test_lines_and_receipt_wait_for_each_other_in_any_order(warehouse: Warehouse, rows: Rows) -> None:
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5"), ("P2", 1, "5")])
    silver.sale(at("03-01 13:00"), [("P1", 1, "7")])
    heads = [entry for entry in silver.rows if entry[0] == "pos_transactions"]
    lines = [entry for entry in silver.rows if entry[0] == "pos_items"]
    for part, seen in (([heads[0], lines[2]], 0), (lines[:2], 2), ([heads[1]], 3)):
        warehouse.refresh(changes_of(part), NOW)
        assert rows("select count(*) from gold.fct_sales") == [(seen,)]
    assert rows("select count(*), sum(net_sales_amount) from gold.fct_sales") == [(3, 17)]


def test_a_table_may_be_deferred_and_is_computed_on_request(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0)
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5")], "C1")
    warehouse.refresh(changes_of(silver.rows, at("03-03 00:00")), NOW)
    more = Silver()
    more._number = 10
    more.sale(at("03-01 13:00"), [("P1", 1, "5")], "C2")
    warehouse.refresh(changes_of(more.rows, at("03-03 00:00")), NOW)
    customers = (
        "select (select count(*) from marts.customer_value),"
        " (select count(*) from gold.dim_customer_segment where customer_segment_key > 0),"
        " (select count(*) from work.lagging)"
    )
    assert warehouse._connection.execute(customers).fetchall() == [(1, 1, 2)]
    assert warehouse.complete_deferred(NOW) is not None
    assert warehouse._connection.execute(customers).fetchall() == [(2, 2, 0)]
    assert warehouse.complete_deferred(NOW) is None
    assert set(warehouse.reflected()) == {f"silver.{table}" for table in TABLES}
    warehouse.close()


def test_a_first_catch_up_defers_tables_of_ended_days_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    warehouse = Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0)
    silver = Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5")], "C1")
    warehouse.refresh(changes_of(silver.rows, at("03-03 00:00")), NOW)
    found = (
        "select (select count(*) from marts.customer_value),"
        " (select count(*) from gold.dim_customer_segment where version > 0)"
    )
    assert warehouse._connection.execute(found).fetchall() == [(0, 0)]
    # the state after a stopped or killed run: deferred tables are named and do not fail
    waiting = "gold.customer_current, gold.dim_customer_segment, marts.customer_segments, marts.customer_value"
    everything = changes_of(silver.rows, at("03-03 00:00"))
    for is_rebuild in (False, True):
        checked = gold_checks(warehouse.published, everything, is_rebuild)
        assert [check for check in checked if not check[1]] == []
        assert waiting in checked[-1][2]
    warehouse.complete_deferred(NOW)
    assert warehouse._connection.execute(found).fetchall() == [(1, 1)]
    assert "not checked" not in gold_checks(warehouse.published, everything, False)[-1][2]
    warehouse.close()


def test_a_table_that_an_earlier_process_deferred_is_not_deferred_again(tmp_path: Path) -> None:
    """Otherwise a process that is killed every minute would never compute it."""
    found = "select count(*) from marts.customer_value"
    for number, (process, seen) in enumerate((("first", 1), ("clean", 1), ("killed", 3)), start=1):
        warehouse = Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0)
        late = Silver()
        late._number = 10 * number
        late.sale(at(f"03-01 1{number}:00"), [("P1", 1, "5")], f"C{number}")
        warehouse.refresh(changes_of(late.rows, at("03-03 00:00")), NOW)
        assert warehouse._connection.execute(found).fetchall() == [(seen,)], process
        warehouse.close()  # without complete_deferred, as kill -9 does


def test_a_catch_up_publishes_now_and_then_and_everything_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start after a crash, or complete_deferred, publishes what is committed."""
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    monkeypatch.setattr("warehouse.storage.publication_policy.COPY_SHARE", 1e9)
    warehouse = Warehouse(tmp_path / "gold")
    for place, seen in ((1, 1), (2, 1), (3, 2)):
        silver = Silver()
        silver._number = 10 * place
        silver.sale(at(f"03-01 1{place}:00"), [("P1", 1, "5")], "C1")
        done = warehouse.refresh(changes_of(silver.rows, at("03-03 00:00")), NOW)
        assert (done.published, published_refresh(warehouse.published)) == (seen == place, seen)
        if place == 2:  # as kill -9 does
            warehouse.close()
            warehouse = Warehouse(tmp_path / "gold")
            assert published_refresh(warehouse.published) == 2
    assert warehouse.complete_deferred(NOW) is None
    assert published_refresh(warehouse.published) == 3
    warehouse.close()
