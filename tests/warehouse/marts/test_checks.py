"""The checks beside the marts hold on any facts, and find what is wrong with a mart that is."""

import random
from datetime import date

import pytest

from tests.warehouse.marts.mart_tables import Gold, anything, models, moment
from warehouse.checks import checks_of
from warehouse.refresh import clv

_DAILY_SUMMARY = """
insert into marts.daily_summary
select date, coalesce(sum(net), 0), null, 0, coalesce(sum(units), 0), 0, coalesce(sum(admissions), 0),
    coalesce(sum(tickets), 0), coalesce(sum(concessions), 0), date <= date '2026-01-05', 0
from (select unnest(range(date '2025-12-01', date '2026-01-20', interval 1 day))::date as date)
left join (
    select from_date_key(date_key) as date, net_sales_amount as net, quantity as units, null as admissions,
        null as tickets, null as concessions
    from gold.fct_sales
    union all
    select from_date_key(date_key), null, null, admissions, ticket_revenue_amount, concession_amount
    from gold.fct_cinema_attendance
) using (date)
group by date
"""


def world(seed: int) -> Gold:
    gold, chance = Gold(), random.Random(seed)
    gold.clock("2026-01-17", final="2026-01-05")
    for number in range(8):
        gold.product(f"P{number}", key=10 + number, title_id=f"T{number}", reorder_point=number)
        gold.title(f"T{number}", key=20 + number, run_start="2025-12-20", run_end=None)
    gold.insert("gold.dim_theater", theater_key=1, theater_id="H1", seats=5)
    for _ in range(150):
        at = moment(chance, date(2025, 12, 1), date(2026, 1, 19))
        anything(gold, chance, at, recorded=at)
    gold.connection.execute(_DAILY_SUMMARY)
    gold.connection.execute(
        "insert into gold.dim_customer_segment select distinct 1, customer_id, now(), true"
        " from gold.fct_customer_engagement where is_purchase_day and date <= date '2026-01-17';"
        "insert into gold.customer_current select distinct customer_id, 'new', 1, 1, 1 from gold.dim_customer_segment;"
        "insert into gold.customer_current select distinct customer_id, 'lapsed', null::int, null::int, null::int"
        " from gold.fct_customer_engagement anti join gold.customer_current using (customer_id)"
    )
    gold.connection.execute("create temp view totals_customers as from totals.customers")
    clv.fit(gold.connection)
    return gold


def failing(gold: Gold, action: str = "fail") -> list[str]:
    return [
        f"{check.model}: {check.claim}"
        for model in models()
        for check in checks_of(model)
        if check.action == action and gold.rows(check.sql)
    ]


def test_every_mart_but_the_small_macros_has_a_check() -> None:
    without = {model.name for model in models() if model.kind != "macro" and not model.checks.exists()}
    assert without == set()


@pytest.mark.parametrize("seed", range(3))
def test_no_check_fails_on_random_facts(seed: int) -> None:
    assert failing(world(seed)) == []


def test_no_check_fails_on_an_empty_warehouse() -> None:
    gold = Gold()
    gold.clock("2026-01-17")
    assert failing(gold) == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            "insert into marts.daily_summary (date, net_sales_amount, units) values ('2024-01-01', 5, 1)",
            "add up to the shop",
        ),
        ("delete from marts.daily_summary where date = '2025-12-24'", "add up to the day's"),
        ("update marts.daily_summary set is_final = false where date = '2026-01-01'", "final if and only if"),
        ("insert into gold.customer_current values ('C1', 'new', 1, 1, 1)", "one row and one segment"),
        ("delete from gold.dim_customer_segment where customer_id = 'C1'", "have scores exactly when"),
        ("update work.clv_predictions set predicted_purchases = 1", "fewer than 30"),
        ("delete from gold.dim_product where product_id = 'P3'", "movements less net units"),
        ("delete from gold.dim_anime_title where title_id = 'T3'", "admissions and amounts add up"),
        ("insert into work.clv_predictions values ('C1', 1, 1, 1), ('C1', 1, 1, 1)", "a customer has one row"),
    ],
)
def test_a_damaged_warehouse_is_found(damage: str, found: str) -> None:
    gold = world(7)
    assert failing(gold) == []
    gold.connection.execute(damage)
    assert any(found in claim for claim in failing(gold)), failing(gold)


def test_an_overbooked_screening_is_only_a_warning() -> None:
    gold = world(1)
    gold.booking("2026-01-01 10:00", seats=50, starts="2026-01-02 10:00", screening="S9")
    assert any("occupancy is at most 1" in claim for claim in failing(gold, "warn"))


def test_checks_of_periods_do_not_compare_every_period_with_every_day() -> None:
    """An event of the year 9999 makes three million days: a join by range over them takes longer than anyone waits."""
    gold = Gold()
    gold.clock("2026-01-17")
    gold.connection.execute(
        "insert into marts.daily_summary select date '2000-01-01' + day::integer, 0, 0, 0, 0, 0, 0, 0, 0, false, 0"
        " from range(9000) as days(day)"
    )
    (model,) = [model for model in models() if model.name == "period_summary"]
    for check in checks_of(model):
        ((_, plan),) = gold.rows(f"explain {check.sql}")
        joins = [line for line in plan.splitlines() if "Conditions:" in line]
        assert not [join for join in joins if "<" in join or ">" in join], check.claim
