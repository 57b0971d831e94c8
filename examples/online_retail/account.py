"""Account for every line of the file: counts and exact sums, for mapping.json."""

from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl


def account(table: pl.DataFrame, lines: pl.DataFrame, products: pl.DataFrame, sent: int) -> dict[str, Any]:
    """Return counts, and Decimal sums of the file's text. `sent` is the number of lines in the events written.

    `fates` groups all lines by the invoice's letter, event type and sign of the price. `not_carried` counts lines that
    are in an event but lose a detail.
    """
    kinds = lines.with_columns(
        invoice=pl.col("InvoiceNo").str.extract("^([A-Za-z]+)").fill_null(""),
        event_type=pl.when("is_return").then(pl.lit("return")).otherwise(pl.lit("sale")),
        price=pl.when(pl.col("UnitPrice").str.contains("^-.*[1-9]"))
        .then(pl.lit("< 0"))
        .when(pl.col("UnitPrice").str.contains("[1-9]"))
        .then(pl.lit("> 0"))
        .otherwise(pl.lit("0")),
    )
    fates = [
        {
            "invoice": invoice,
            "event_type": event_type,
            "price": price,
            "events": part["event_id"].n_unique(),
            **_sums(part),
        }
        for (invoice, event_type, price), part in sorted(
            kinds.partition_by("invoice", "event_type", "price", as_dict=True).items()
        )
    ]
    whole = lines.join(products.select("StockCode", "name"), on="StockCode", how="left", nulls_equal=True)
    others = whole.select(
        times=pl.col("own_time").ne_missing(pl.col("local_time")).sum(),
        customers=pl.col("customer_id").ne_missing(pl.col("customer_id").first().over("event_id")).sum(),
        countries=pl.col("Country").ne_missing(pl.col("Country").first().over("event_id")).sum(),
        descriptions=pl.col("Description").str.strip_chars().ne_missing(pl.col("name")).sum(),
    )
    return {
        "file": {"invoices": table["InvoiceNo"].n_unique(), **_sums(table)},
        "fates": fates,
        "lines_in_events": sent,
        "lines_dropped": table.height - sent,
        "exact_copies_kept": int(table.is_duplicated().sum()),
        "not_carried": {f"lines_with_other_{name}": count for name, count in others.row(0, named=True).items()},
    }


def _sums(part: pl.DataFrame) -> dict[str, Any]:
    """Return lines, units and quantity * unit_price. Text that is not a number adds 0 and counts as `unreadable`."""
    units, amount, unreadable = Decimal(0), Decimal(0), 0
    for quantity, price in part.select("Quantity", "UnitPrice").iter_rows():
        try:
            units += Decimal(quantity)
            amount += Decimal(quantity) * Decimal(price)
        except (InvalidOperation, TypeError):
            unreadable += 1
    return {
        "lines": part.height,
        "quantity": f"{units:f}",
        "amount": f"{amount.normalize():f}",
        "unreadable": unreadable,
    }
