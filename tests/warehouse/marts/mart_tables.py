"""Literal gold tables for tests of marts: with the columns of the models in warehouse/gold and the rows of a test."""

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from warehouse.registry import Model, ordered, read_model

MARTS = Path(__file__).parents[3] / "warehouse" / "marts"

_TABLES = """
create schema gold; create schema marts; create schema work; create schema ops;
create schema affected; create schema changed; create schema totals;
create macro to_date_key(day) as (year(day) * 10000 + month(day) * 100 + day(day))::integer;
create macro from_date_key(key) as make_date(key // 10000, key // 100 % 100, key % 100);
create table gold.fct_sales (
    event_id varchar, transaction_id varchar, line_number bigint, event_type varchar, event_time timestamptz,
    date_key integer, product_key bigint, quantity bigint, unit_price decimal(18, 4), discount_amount decimal(38, 4),
    net_sales_amount decimal(38, 4), cost_amount decimal(38, 4), gross_margin_amount decimal(38, 4),
    customer_id varchar, product_id varchar, channel varchar, _arrival varchar, _recorded_at timestamptz);
create table gold.fct_cinema_attendance (
    event_id varchar, booking_id varchar, event_type varchar, event_time timestamptz, date_key integer,
    screening_id varchar, screening_time timestamptz, customer_id varchar, title_id varchar, theater_id varchar,
    channel varchar, admissions bigint, ticket_revenue_amount decimal(38, 4), concession_amount decimal(38, 4),
    _arrival varchar, _recorded_at timestamptz);
create table gold.fct_inventory_movement (
    event_id varchar, event_type varchar, event_time timestamptz, date_key integer, product_id varchar,
    warehouse_id varchar, quantity bigint, _arrival varchar, _recorded_at timestamptz);
create table gold.fct_review (
    event_id varchar, event_time timestamptz, date_key integer, customer_id varchar, product_id varchar,
    title_id varchar, rating bigint, _arrival varchar, _recorded_at timestamptz);
create table gold.dim_product (
    product_key bigint, product_id varchar, name varchar, category varchar, title_id varchar, supplier_id varchar,
    list_price decimal(18, 4), unit_cost decimal(18, 4), reorder_point bigint, status varchar, version integer,
    is_deleted boolean);
create table gold.dim_anime_title (
    title_key bigint, title_id varchar, title varchar, studio varchar, age_rating varchar, release_date date,
    run_start date, run_end date, status varchar, version integer, is_deleted boolean);
create table gold.dim_theater (theater_key bigint, theater_id varchar, seats bigint);
create table gold.dim_customer_segment (
    customer_segment_key bigint, customer_id varchar, valid_from timestamptz, is_current boolean);
create table gold.customer_current (
    customer_id varchar, segment varchar, recency_score integer, frequency_score integer, monetary_score integer);
create table ops.gold_clock (last_date date, last_ended_date date, last_final_date date);
create table ops.topic_watermarks (topic varchar, is_business boolean, watermark timestamptz);
create table marts.daily_summary (
    date date, net_sales_amount decimal(38, 4), gross_margin_amount decimal(38, 4),
    lines_without_cost bigint, units decimal(38, 0),
    orders bigint, admissions decimal(38, 0), ticket_revenue_amount decimal(38, 4), concession_amount decimal(38, 4),
    is_final boolean, late_correction_amount decimal(38, 4));
create table work.clv_predictions (
    customer_id varchar, probability_alive double, predicted_purchases double, predicted_average_value double);
create view gold.fct_customer_engagement as
with events as (
    select customer_id, event_id, date_key, event_type, net_sales_amount as shop, 0.0000 as cinema
    from gold.fct_sales
    union all
    select customer_id, event_id, date_key, event_type, 0.0000, ticket_revenue_amount + concession_amount
    from gold.fct_cinema_attendance
)
select
    customer_id, date_key, strptime(date_key::varchar, '%Y%m%d')::date as date,
    count(distinct event_id) filter (event_type = 'sale') as orders,
    count(distinct event_id) filter (event_type = 'booking') as bookings,
    bool_or(event_type in ('sale', 'booking')) as is_purchase_day, sum(shop) + sum(cinema) as spent_amount,
from events where customer_id is not null group by customer_id, date_key;
create view work.product_numbers as
select product_id, dense_rank() over (order by product_id) as product_number
from (select distinct product_id from gold.fct_sales where event_type = 'sale');
create view work.product_pairs as
with baskets as (
    select distinct event_id, product_number from gold.fct_sales join work.product_numbers using (product_id)
    where event_type = 'sale'
)
select one.product_number as first_number, other.product_number as second_number, count(*) as basket_count
from baskets as one join baskets as other
    on other.event_id = one.event_id and other.product_number >= one.product_number
group by all
union all select 0, 0, count(distinct event_id) from baskets;
create view work.new_product_pairs as from work.product_pairs limit 0;
create table work.wide_baskets (event_time timestamptz, event_hash ubigint, product_number integer);
create view affected.product_days as select distinct product_id, date_key from gold.fct_sales;
create view changed.fct_customer_engagement as from gold.fct_customer_engagement;
"""

# What warehouse/refresh/customer_totals.py counts by and by, all at once.
TOTALS_OF_CUSTOMERS = """
with
revenue as (
    select customer_id, sum(spent_amount) as revenue_amount
    from gold.fct_customer_engagement where date <= marts.last_ended_date() group by customer_id
),
sales as (
    select
        customer_id, count(*) as lines, count(*) filter (cost_amount is null) as lines_without_cost,
        sum(gross_margin_amount) as gross_margin_amount,
    from gold.fct_sales
    where make_date(date_key // 10000, date_key // 100 % 100, date_key % 100) <= marts.last_ended_date()
    group by customer_id
)
select
    purchases.*, revenue_amount, coalesce(lines, 0) as lines, coalesce(lines_without_cost, 0) as lines_without_cost,
    gross_margin_amount,
from marts.customer_purchases(marts.last_ended_date()) as purchases
left join revenue using (customer_id)
left join sales using (customer_id)
"""


def models() -> tuple[Model, ...]:
    """The marts without daily_summary, which other tests cover, each after those it reads."""
    files = [path for path in sorted(MARTS.glob("*.sql")) if not path.name.endswith(".checks.sql")]
    return ordered(read_model(path) for path in files if path.stem != "daily_summary")


def utc(text: str) -> datetime:
    """`2026-01-31 10:00` as an instant; seconds may follow."""
    return datetime.fromisoformat(text + "+00:00")


class Gold:
    """A DuckDB with gold's tables, and every mart as a view or a macro, which reflects each insert.

    Its session is far from UTC on purpose: no number may depend on it.
    """

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'America/New_York'")
        self.connection.execute(_TABLES)
        for model in models():
            if model.name == "customer_value":
                self.connection.execute(f"create view totals.customers as {TOTALS_OF_CUSTOMERS}")
            what = f"create view {model.full_name} as {model.sql}" if model.kind != "macro" else model.sql
            self.connection.execute(what)
        self.connection.execute("create view changed.product_daily as from marts.product_daily")
        self.count = 0

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(sql).fetchall()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        (row,) = self.rows(sql)
        return row

    def dicts(self, sql: str) -> list[dict[str, Any]]:
        """Rows by column name."""
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def insert(self, table: str, **values: Any) -> None:
        """One row; columns not named are null."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self.connection.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))

    def clock(self, ended: str, final: str | None = None, watermark: str | None = None) -> None:
        """Which days have ended and are final; the watermark is noon of the day after unless given."""
        day = date.fromisoformat(ended)
        self.connection.execute("delete from ops.gold_clock; delete from ops.topic_watermarks")
        final_day = date.fromisoformat(final) if final else None
        self.insert("ops.gold_clock", last_date=day, last_ended_date=day, last_final_date=final_day)
        at = utc(watermark or f"{day + timedelta(days=1)} 12:00")
        for topic in ("pos-transactions", "cinema-sales"):
            self.insert("ops.topic_watermarks", topic=topic, is_business=True, watermark=at)

    def _event(self, at: str, recorded: str | None) -> dict[str, Any]:
        self.count += 1
        when = utc(at)
        return {
            "event_id": f"e{self.count:05}",
            "event_time": when,
            "date_key": int(when.strftime("%Y%m%d")),
            "_arrival": "on_time",
            "_recorded_at": utc(recorded or at),
        }

    def sale(
        self,
        at: str,
        products: Iterable[str] = ("P1",),
        *,
        customer: str | None = "C1",
        quantity: int = 1,
        price: float = 10,
        discount: float = 0,
        cost: float | None = 6,
        channel: str = "store",
        kind: str = "sale",
        product_key: int = 1,
        recorded: str | None = None,
    ) -> None:
        """A sale or a return with one line per product."""
        sign = -1 if kind == "return" else 1
        event = self._event(at, recorded)
        for number, product in enumerate(products, 1):
            net = quantity * price - discount
            self.insert(
                "gold.fct_sales",
                **event,
                transaction_id=event["event_id"],
                line_number=number,
                event_type=kind,
                product_key=product_key,
                quantity=sign * quantity,
                unit_price=price,
                discount_amount=sign * discount,
                net_sales_amount=sign * net,
                cost_amount=None if cost is None else sign * quantity * cost,
                gross_margin_amount=None if cost is None else sign * (net - quantity * cost),
                customer_id=customer,
                product_id=product,
                channel=channel,
            )

    def booking(
        self,
        at: str,
        *,
        customer: str | None = "C1",
        screening: str = "S1",
        starts: str = "2026-01-10 18:00",
        title: str = "T1",
        theater: str = "H1",
        seats: int = 2,
        price: float = 12,
        concession: float = 0,
        channel: str = "box_office",
        kind: str = "booking",
        recorded: str | None = None,
    ) -> None:
        """A booking or a cancellation."""
        sign = -1 if kind == "cancellation" else 1
        event = self._event(at, recorded)
        self.insert(
            "gold.fct_cinema_attendance",
            **event,
            booking_id=event["event_id"],
            event_type=kind,
            screening_id=screening,
            screening_time=utc(starts),
            customer_id=customer,
            title_id=title,
            theater_id=theater,
            channel=channel,
            admissions=sign * seats,
            ticket_revenue_amount=sign * seats * price,
            concession_amount=sign * concession,
        )

    def movement(
        self, at: str, quantity: int, product: str = "P1", kind: str = "delivery", recorded: str | None = None
    ) -> None:
        """A movement of stock, signed."""
        event = self._event(at, recorded)
        self.insert(
            "gold.fct_inventory_movement", **event, event_type=kind, product_id=product, warehouse_id="W1",
            quantity=quantity,
        )  # fmt: skip

    def review(
        self,
        at: str,
        rating: int,
        *,
        customer: str = "C1",
        product: str | None = None,
        title: str | None = None,
        recorded: str | None = None,
    ) -> None:
        """A review of a product or a title."""
        event = self._event(at, recorded)
        self.insert(
            "gold.fct_review", **event, customer_id=customer, product_id=product, title_id=title, rating=rating
        )  # fmt: skip

    def product(self, product: str, *, key: int = 1, version: int = 1, **columns: Any) -> None:
        """A version of a product."""
        given = {"name": product, "status": "active", "reorder_point": 5, "is_deleted": False} | columns
        self.insert("gold.dim_product", product_key=key, product_id=product, version=version, **given)

    def title(self, title: str, *, key: int = 1, version: int = 1, **columns: Any) -> None:
        """A version of a title."""
        given = {"title": title, "status": "showing", "is_deleted": False} | columns
        self.insert("gold.dim_anime_title", title_key=key, title_id=title, version=version, **given)


def moment(chance: random.Random, first: date, last: date) -> str:
    day = first + timedelta(days=chance.randrange((last - first).days + 1))
    return f"{day} {chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"


def anything(gold: Gold, chance: random.Random, at: str, recorded: str) -> None:
    """One event of any kind, with members that are known or not."""
    customer, thing = f"C{chance.randrange(12)}", str(chance.randrange(8))
    kind = chance.randrange(5)
    if kind < 2:
        back = chance.random() < 0.2
        gold.sale(
            at, [f"P{thing}", f"P{chance.randrange(8)}"], customer=chance.choice([customer, None]),
            quantity=chance.randint(1, 9), discount=chance.choice([0, 1.5]), channel=chance.choice(["store", "online"]),
            kind="return" if back else "sale", recorded=recorded,
        )  # fmt: skip
    elif kind == 2:
        back = chance.random() < 0.2
        gold.booking(
            at, customer=customer, title=f"T{thing}", kind="cancellation" if back else "booking", recorded=recorded
        )
    elif kind == 3:
        gold.movement(at, chance.randint(-5, 20), f"P{thing}", recorded=recorded)
    else:
        subject: dict[str, Any] = {"product": f"P{thing}"} if chance.random() < 0.5 else {"title": f"T{thing}"}
        gold.review(at, chance.randint(1, 5), customer=customer, **subject, recorded=recorded)
