"""The reference's gold: tiny worlds with literal numbers, one claim each."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from .adversary import adversarial_world
from .contract import Policy
from .contract_table import TOPICS
from .gold import NOT_APPLICABLE, UNKNOWN, Gold, build, on_hand
from .harness_gold import PLAIN, VERSIONED, compare_gold
from .history import BEGINNING
from .samples import Raw, at, record
from .segments import Scores, quintile, scores_of, segment_history
from .silver import Record, Silver, judge

POS, CINEMA, STOCK, REVIEW, CUSTOMER, PRODUCT, TITLE = TOPICS
DAY = 86400
TODAY = at(0).date()


def gold_of(*records: Record) -> Gold:
    return build(judge(records))


def sale(offset: int, seconds: float = 0, *, lines: list[tuple[str, int, str]] | None = None, **more: Any) -> Record:
    """Return a sale of (product, quantity, price) lines."""
    items = [
        {"line_number": number, "product_id": product, "quantity": quantity, "unit_price": Raw(price)}
        for number, (product, quantity, price) in enumerate(lines or [("P1", 1, "10")], start=1)
    ]
    more.setdefault("transaction_id", f"T{offset}")
    return record(POS, offset, seconds, recorded=1000 * DAY, **{"items": items, **more})


def booking(offset: int, seconds: float = 0, **more: Any) -> Record:
    return record(CINEMA, offset, seconds, recorded=1000 * DAY, **more)


def test_r35_net_sales_are_quantity_times_price_minus_discount() -> None:
    row = gold_of(record(POS, 0)).sales[0]
    assert (row["quantity"], row["discount_amount"], row["net_sales_amount"]) == (2, 1, Decimal("18.98"))


def test_r12_and_r35_a_return_is_negative_except_for_its_unit_price() -> None:
    row = gold_of(record(POS, 0, event_type="return")).sales[0]
    assert (row["quantity"], row["discount_amount"], row["net_sales_amount"]) == (-2, -1, Decimal("-18.98"))
    assert row["unit_price"] == Decimal("9.99")


def test_r35_cost_and_margin_use_the_version_valid_at_the_sale() -> None:
    cheap, dear = record(PRODUCT, 0, 0, unit_cost=4), record(PRODUCT, 1, 100, unit_cost=6)
    found = gold_of(cheap, dear, sale(0, 99), sale(1, 100)).sales
    assert [row["cost_amount"] for row in found] == [4, 6]
    assert [row["gross_margin_amount"] for row in found] == [6, 4]
    assert [row["product"] for row in found] == [("P1", at(0)), ("P1", at(100))]


def test_r33_and_r35_a_sale_before_its_product_counts_as_a_line_without_cost() -> None:
    gold = gold_of(record(PRODUCT, 0, 100), sale(0, 99), sale(1, 100))
    assert [row["cost_amount"] for row in gold.sales] == [None, Decimal("4.2")]
    assert gold.sales[0]["product"] == ("P1", BEGINNING)
    assert gold.daily[TODAY]["lines_without_cost"] == 1
    assert gold.daily[TODAY]["gross_margin_amount"] == Decimal("5.8")


def test_r33_a_late_change_rekeys_the_facts_between_the_old_and_the_new_boundary() -> None:
    base = [record(CUSTOMER, 0, 0), record(CUSTOMER, 2, 300, city="Linz"), sale(0, 100), sale(1, 200), sale(2, 300)]
    late = record(CUSTOMER, 3, 150, city="Graz", recorded=300)
    before, after = gold_of(*base), gold_of(*base[:2], late, *base[2:])
    assert [row["customer"][1] for row in before.sales] == [at(0), at(0), at(300)]
    assert [row["customer"][1] for row in after.sales] == [at(0), at(150), at(300)]


def test_r33_a_fact_in_a_deletion_gap_joins_the_version_that_was_closed() -> None:
    log = [record(CUSTOMER, 0, 0), record(CUSTOMER, 1, 100, event_type="delete"), sale(0, 150)]
    assert gold_of(*log).sales[0]["customer"] == ("C1", at(0))


def test_r34_guests_and_stores() -> None:
    found = gold_of(
        sale(0, customer_id=None, channel="store", store_id="S1"),
        sale(1, channel="store"),
        sale(2, channel="online"),
        sale(3, channel="online", store_id="S1"),
    ).sales
    assert [row["store"] for row in found] == ["S1", UNKNOWN, NOT_APPLICABLE, NOT_APPLICABLE]
    assert found[0]["customer"] == (UNKNOWN, UNKNOWN)


def test_r35_amounts_are_exact_at_the_bounds_of_money() -> None:
    row = gold_of(sale(0, lines=[("P1", 2**63 - 1, "99999999999999.9999")])).sales[0]
    assert row["net_sales_amount"] == Decimal("922337203685477579777662796314522.4193")


def test_r12_a_cancellation_negates_its_own_seats_and_amounts() -> None:
    gold = gold_of(booking(0), booking(1, event_type="cancellation", seats_booked=1))
    assert [row["admissions"] for row in gold.attendance] == [2, -1]
    day = gold.daily[TODAY]
    assert (day["admissions"], day["ticket_revenue_amount"], day["concession_amount"]) == (1, Decimal("11.50"), 0)


def test_r43_a_day_without_events_between_two_others_is_a_row_of_zeros() -> None:
    daily = gold_of(sale(0, 0), sale(1, 2 * DAY)).daily
    assert sorted(daily) == [TODAY + timedelta(days=number) for number in range(3)]
    empty = daily[TODAY + timedelta(days=1)]
    assert {name: value for name, value in empty.items() if value} == {}
    assert empty["gross_margin_amount"] == 0


def test_r43_orders_are_distinct_sale_transactions_and_units_are_net() -> None:
    lines = [("P1", 3, "1"), ("P2", 2, "1")]
    gold = gold_of(
        sale(0, lines=lines, transaction_id="A"),
        sale(1, transaction_id="A"),
        sale(2, event_type="return", transaction_id="B"),
    )
    assert (gold.daily[TODAY]["orders"], gold.daily[TODAY]["units"]) == (1, 5)


def test_r6_days_are_utc_days() -> None:
    gold = gold_of(sale(0, event_time="2026-03-03T00:30:00+01:00"))
    assert list(gold.daily) == [date(2026, 3, 2)]


@pytest.mark.parametrize(("after", "final"), [(0, True), (-0.000001, False)])
def test_r17_a_day_is_final_when_the_watermark_has_passed_its_end_by_the_allowed_lateness(
    after: float, final: bool
) -> None:
    midnight = 12 * 3600
    gold = gold_of(sale(0, 0), sale(1, midnight + 2 * DAY + 600 + after))
    assert gold.daily[TODAY]["is_final"] is final


def test_r17_each_business_topic_with_any_record_must_pass_the_day() -> None:
    done = [sale(0, 0), sale(1, 5 * DAY)]
    assert gold_of(*done).daily[TODAY]["is_final"]
    assert not gold_of(*done, booking(0, DAY)).daily[TODAY]["is_final"]
    assert not gold_of(*done, record(REVIEW, 0, value=b"")).daily[TODAY]["is_final"], "any record, broken ones too"
    assert gold_of(*done, record(CUSTOMER, 0)).daily[TODAY]["is_final"], "master data has no say"


def test_r10_unmatched_returns_and_excess_cancellations_are_counted() -> None:
    gold = gold_of(
        sale(0, transaction_id="A"),
        sale(1, event_type="return", original_transaction_id="A"),
        sale(2, event_type="return", original_transaction_id="B"),
        booking(0, booking_id="X"),
        booking(1, booking_id="X", event_type="cancellation"),
        booking(2, booking_id="Y", event_type="cancellation"),
    )
    assert gold.unmatched_returns == {"E0-2"}
    assert gold.over_cancelled == {"Y"}


def test_r37_stock_is_the_running_sum_of_signed_movements() -> None:
    kinds = [("delivery", 10), ("adjustment", -2), ("transfer_in", 5), ("transfer_out", 4), ("shrinkage", 1)]
    log = [
        record(STOCK, n, n * DAY, recorded=9 * DAY, event_type=kind, quantity=amount)
        for n, (kind, amount) in enumerate(kinds)
    ]
    gold = gold_of(*log)
    assert [on_hand(gold, "P1", "W1", TODAY + timedelta(days=n)) for n in range(5)] == [10, 8, 13, 9, 8]
    assert on_hand(gold, "P1", "W2", TODAY) == 0


def test_engagement_has_a_row_for_each_known_customer_and_day() -> None:
    made = gold_of(sale(0), sale(1, customer_id=None), booking(0), booking(1, DAY), record(REVIEW, 0)).engagement
    assert set(made) == {("C1", TODAY), ("C1", TODAY + timedelta(days=1))}
    today = made["C1", TODAY]
    assert (today["orders"], today["bookings"], today["reviews"], today["net_sales_amount"]) == (1, 1, 1, 10)


def test_r36_quintiles_follow_the_rank() -> None:
    assert [quintile(rank, 7) for rank in range(1, 8)] == [1, 1, 2, 3, 3, 4, 5]
    assert [quintile(rank, 1) for rank in (1,)] == [1]


def five_customers() -> list[Record]:
    """Return sales to C1 to C5 on successive days, each 10 larger than the previous one."""
    return [sale(n, n * DAY, customer_id=f"C{n + 1}", lines=[("P1", 1, f"{10 * (n + 1)}")]) for n in range(5)]


def test_r36_scores_rank_all_customers_of_the_window_and_ties_are_ordered_by_customer() -> None:
    scores = scores_of(gold_of(*five_customers()), TODAY + timedelta(days=4))
    assert [scores[f"C{n}"].recency for n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert [scores[f"C{n}"].monetary for n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert [scores[f"C{n}"].frequency for n in range(1, 6)] == [1, 2, 3, 4, 5], "one day each: by customer_id"


def test_r36_the_window_is_365_days_including_the_day() -> None:
    gold = gold_of(sale(0, 0))
    assert list(scores_of(gold, TODAY + timedelta(days=364))) == ["C1"]
    assert list(scores_of(gold, TODAY + timedelta(days=365))) == []


def test_r36_a_return_counts_as_money_but_not_as_a_purchase() -> None:
    gold = gold_of(sale(0, event_type="return", customer_id="C9"), *five_customers()[1:])
    assert "C9" not in scores_of(gold, TODAY + timedelta(days=4))


def history(*records: Record) -> list[tuple[Any, ...]]:
    silver: Silver = judge(records)
    found = segment_history(build(silver), silver, lambda scores: f"{scores.recency}")
    return [(one.customer_id, one.scores, one.valid_from, one.valid_to) for one in found]


def test_r36_segments_begin_at_midnight_after_the_first_ended_day() -> None:
    midnight = 12 * 3600
    one = Scores(1, 1, 1)
    assert history(sale(0, 0), sale(1, midnight + 599)) == [], "no day has ended"
    assert history(sale(0, 0), sale(1, midnight + 600)) == [("C1", one, at(midnight), None)]


def test_r36_a_customer_outside_the_window_has_the_version_closed() -> None:
    end = 365 * DAY
    found = history(sale(0, 0), sale(1, end + DAY, customer_id=None))
    assert found == [("C1", Scores(1, 1, 1), at(12 * 3600), at(end + 12 * 3600))]


def test_every_fact_of_a_world_joins_a_version() -> None:
    silver = judge(adversarial_world(3))
    gold = build(silver, Policy())
    accepted = silver.accepted(POS)
    assert len(gold.sales) == sum(len(one.row["items"]) for one in accepted)
    assert sum(day["net_sales_amount"] for day in gold.daily.values()) == sum(
        row["net_sales_amount"] for row in gold.sales
    )
    for versions in gold.versions.values():
        ends = [one.valid_to for one in versions]
        assert all(end is not None and end <= after.valid_from for end, after in zip(ends, versions[1:], strict=False))
        assert sum(one.is_current for one in versions) <= 1


def tables(gold: Gold) -> dict[str, list[dict[str, Any]]]:
    """Return gold as a correct warehouse stores it, with arbitrary keys."""
    made: dict[str, list[dict[str, Any]]] = {"gold.fct_sales": []}
    keys: dict[tuple[str, Any], int] = {}
    for table, (topic, name) in VERSIONED.items():
        made[table] = [
            {f"{name}_key": key, f"{name}_id": None, "valid_from": None} for key in (UNKNOWN, NOT_APPLICABLE)
        ]
        for (kind, natural), versions in gold.versions.items():
            for one in versions if kind == topic else ():
                keys[name, (natural, one.valid_from)] = len(keys) + 1
                row = {f"{name}_key": len(keys), f"{name}_id": natural, "is_current": one.is_current, **one.attributes}
                names = ("valid_from", "valid_to", "version", "is_deleted", "is_inferred")
                made[table].append(row | {part: getattr(one, part) for part in names})
    for table, name in PLAIN.items():
        found = sorted({str(row[name]) for row in gold.sales} - {"-1", "-2"})
        made[table] = [{f"{name}_key": 100 + number, f"{name}_id": one} for number, one in enumerate(found)]
        keys |= {(name, row[f"{name}_id"]): row[f"{name}_key"] for row in made[table]}
    for row in gold.sales:
        joined = {name: row[name] for name in ("customer", "product", *PLAIN.values())}
        follow = {
            f"{name}_key": keys.get((name, one), one[0] if isinstance(one, tuple) else one)
            for name, one in joined.items()
        }
        made["gold.fct_sales"].append({**{name: one for name, one in row.items() if name not in joined}, **follow})
    made["marts.daily_summary"] = [{"date": day, **row} for day, row in gold.daily.items()]
    return made


def test_the_gold_harness_accepts_a_correct_warehouse_and_reports_each_difference() -> None:
    gold = build(judge(adversarial_world(4, size=50)))
    made = tables(gold)
    assert compare_gold(gold, made) == []
    made["gold.fct_sales"][0]["net_sales_amount"] += 1
    made["gold.fct_sales"][1]["product_key"] = 9999
    made["gold.dim_customer"][2]["version"] = 77
    made["marts.daily_summary"][0]["orders"] = -5
    assert len(compare_gold(gold, made)) == 4
