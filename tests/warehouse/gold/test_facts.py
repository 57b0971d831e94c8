"""Each fact on the rows of `world`. Keys are read through the dimension, so a wrong version shows as a wrong value."""

from datetime import date
from decimal import Decimal

from tests.warehouse.conftest import Rows


def test_fct_sales(gold: Rows) -> None:
    found = gold(
        "select event_type, line_number, date_key, time_of_day_key, loyalty_tier, unit_cost, dim_store.store_id,"
        " dim_channel.channel_id, dim_payment_method.payment_method_id, quantity, unit_price, discount_amount,"
        " net_sales_amount, cost_amount, gross_margin_amount"
        " from gold.fct_sales"
        " join gold.dim_customer using (customer_key) join gold.dim_product using (product_key)"
        " join gold.dim_store using (store_key) join gold.dim_channel using (channel_key)"
        " join gold.dim_payment_method using (payment_method_key)"
        " order by event_time"
    )
    assert found == [
        ("sale", 1, 20260302, 600, "none", 3, "ST-01", "store", "card", 2, 10, 1.5, 18.5, 6, 12.5),
        ("sale", 1, 20260302, 601, "unknown", None, "unknown", "store", "card", 1, 5, 0, 5, None, None),
        ("return", 1, 20260304, 545, "gold", 4, "not applicable", "online", "card", -1, 10, 0, -10, -4, -6),
    ]


def test_fct_cinema_attendance(gold: Rows) -> None:
    found = gold(
        "select event_type, date_key, time_of_day_key, screening_date_key, loyalty_tier, title, dim_theater.theater_id,"
        " dim_ticket_type.ticket_type_id, dim_channel.channel_id, dim_payment_method.payment_method_id, seats_booked,"
        " ticket_price, admissions, ticket_revenue_amount, concession_amount"
        " from gold.fct_cinema_attendance"
        " join gold.dim_customer using (customer_key) join gold.dim_anime_title using (title_key)"
        " join gold.dim_theater using (theater_key) join gold.dim_ticket_type using (ticket_type_key)"
        " join gold.dim_channel using (channel_key) join gold.dim_payment_method using (payment_method_key)"
        " order by event_time"
    )
    shared = ("TH-01", "standard", "box_office", "cash")
    assert found == [
        ("booking", 20260302, 660, 20260305, "none", "title A1", *shared, 3, Decimal("12.5"), 3, 37.5, 4),
        ("cancellation", 20260304, 660, 20260305, "gold", "title A1", *shared, 1, Decimal("12.5"), -1, -12.5, 0),
    ]


def test_fct_inventory_movement(gold: Rows) -> None:
    found = gold(
        "select event_type, date_key, time_of_day_key, dim_product.unit_cost, dim_warehouse.name, dim_supplier.name,"
        " quantity, movement.unit_cost, cost_amount"
        " from gold.fct_inventory_movement as movement"
        " join gold.dim_product using (product_key) join gold.dim_warehouse using (warehouse_key)"
        " join gold.dim_supplier using (supplier_key) order by event_time"
    )
    assert found == [
        ("delivery", 20260302, 480, 3, "Depot", "Acme", 10, 2.5, 25),
        ("shrinkage", 20260304, 480, 4, "Depot", "not applicable", -3, None, None),
    ]


def test_fct_review(gold: Rows) -> None:
    found = gold(
        "select date_key, time_of_day_key, loyalty_tier, dim_product.product_id, dim_anime_title.title_id, rating,"
        " verified_purchase, helpful_votes"
        " from gold.fct_review"
        " join gold.dim_customer using (customer_key) join gold.dim_product using (product_key)"
        " join gold.dim_anime_title using (title_key) order by event_time"
    )
    assert found == [
        (20260303, 930, "gold", "P1", "not applicable", 5, True, 2),
        (20260303, 931, "gold", "not applicable", "A1", 4, True, 0),
    ]


def test_fct_customer_engagement(gold: Rows) -> None:
    found = gold(
        "select customer_id, date, loyalty_tier, orders, returns, units, net_sales_amount, bookings, cancellations,"
        " admissions, ticket_revenue_amount, concession_amount, reviews, is_purchase_day, spent_amount"
        " from (select * exclude (customer_id) from gold.fct_customer_engagement)"
        " join gold.dim_customer using (customer_key) order by date"
    )
    assert found == [
        ("C1", date(2026, 3, 2), "none", 1, 0, 2, 18.5, 1, 0, 3, 37.5, 4, 0, True, 60),
        ("C1", date(2026, 3, 3), "gold", 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, False, 0),
        ("C1", date(2026, 3, 4), "gold", 0, 1, -1, -10, 0, 1, -1, -12.5, 0, 0, False, -22.5),
    ]


def test_fct_inventory_daily(gold: Rows) -> None:
    found = gold(
        "select date_key, stock.product_id, dim_product.unit_cost, dim_warehouse.name, received_quantity,"
        " issued_quantity, net_quantity, on_hand"
        " from gold.fct_inventory_daily as stock"
        " join gold.dim_product using (product_key) join gold.dim_warehouse using (warehouse_key) order by date"
    )
    assert found == [
        (20260302, "P1", 3, "Depot", 10, 0, 10, 10),
        (20260303, "P1", 4, "Depot", 0, 0, 0, 10),
        (20260304, "P1", 4, "Depot", 0, 3, -3, 7),
    ]
