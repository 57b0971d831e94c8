"""Convert UCI Online Retail to events: NDJSON files for `animeverse produce --file`.

    python examples/online_retail/to_events.py PATH --out DIR

PATH is the published table that you downloaded: .parquet, or .csv (the .xlsx saved as CSV). DIR receives
`pos-transactions.ndjson`, `customer-profiles.ndjson` and `product-catalog.ndjson`, each in order of time, and
`mapping.json`, the account of every line (account.py).

The mapping:
- An invoice becomes one `pos-transactions` event, and every line of the file is in exactly one event. Negative
  quantities make it a `return`. Invalid values, such as a negative price or text that is not a number, are sent
  unchanged; silver validates them.
- Numbers are the text of the file, never a float. Ids are the file's; `17850.0` is customer 17850, as UCI describes it.
- Text that the contract requires and the file lacks is `unknown`; README.md lists these fields.
- The file has no cost. The catalogue is therefore dated one minute after the last invoice: all sales join the product's
  inferred version, which has a name but no cost (R33), and margins are null.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import polars as pl
from account import account

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%m/%d/%Y %H:%M")  # as written by pandas; as in the published CSV
ZONE = "Europe/London"  # the shop's time zone; the file's times have none
RFC_3339 = "%Y-%m-%dT%H:%M:%S%:z"
JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
UNKNOWN = "unknown"


def read_lines(path: Path) -> pl.DataFrame:
    """Return the eight columns of the table as text, in file order. Raises ValueError with the missing columns."""
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
    else:
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252")  # the pound signs of the CSV in circulation
        table = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    return table.select(pl.col(name).cast(pl.String) for name in COLUMNS)


def invoice_lines(table: pl.DataFrame) -> pl.DataFrame:
    """Return each line of the file with its event, ordered by the event's time and then by file order.

    Adds `line_number` (the position in the invoice), `is_return`, `event_id` and `customer_id`. Adds the event's
    `local_time` and `event_time`: those of its first line, because the lines of some invoices differ by a minute. An
    invoice with both signs becomes two events. A time that cannot be read stays as text in `event_time` and is first.
    """
    times = (pl.col("InvoiceDate").str.to_datetime(pattern, strict=False, time_unit="us") for pattern in TIME_FORMATS)
    is_return = pl.col("Quantity").str.contains(r"^-[0-9]").fill_null(value=False)
    is_other_half = pl.col("is_return") & (pl.col("is_return").n_unique().over("InvoiceNo") > 1)
    zoned = pl.col("local_time").dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null")
    return (
        table.with_columns(
            line_number=pl.int_range(1, pl.len() + 1).over("InvoiceNo"),
            is_return=is_return,
            customer_id=pl.col("CustomerID").str.replace(r"^([0-9]+)\.0$", "$1"),
            own_time=pl.coalesce(times),
        )
        .with_columns(event_id=pl.when(is_other_half).then(pl.col("InvoiceNo") + "-R").otherwise("InvoiceNo"))
        .with_columns(local_time=pl.col("own_time").first().over("event_id"))
        .with_columns(event_time=pl.coalesce(zoned.dt.to_string(RFC_3339), "InvoiceDate"))
        .sort("local_time", maintain_order=True)
    )


def pos_transactions(lines: pl.DataFrame) -> list[str]:
    """Return one event per invoice. `country` is not in the contract; silver keeps it as an extra field."""
    items = lines.select(
        "event_id",
        "InvoiceNo",
        "event_time",
        "is_return",
        "customer_id",
        "Country",
        item=_object(
            line_number=_json(pl.col("line_number")),
            product_id=_json(pl.col("StockCode")),
            quantity=_number(pl.col("Quantity").str.replace(r"^-([0-9])", "$1")),
            unit_price=_number(pl.col("UnitPrice")),
        ),
    )
    events = items.group_by("event_id", maintain_order=True).agg(
        pl.exclude("item").first(), pl.col("item").str.join(",")
    )
    return _rows(
        events,
        event_id=_json(pl.col("event_id")),
        event_type=_json(pl.when("is_return").then(pl.lit("return")).otherwise(pl.lit("sale"))),
        event_time=_json(pl.col("event_time")),
        transaction_id=_json(pl.col("InvoiceNo")),
        customer_id=_json(pl.col("customer_id")),
        channel=_json(pl.lit("online")),
        payment_method=_json(pl.lit(UNKNOWN)),
        currency=_json(pl.lit("GBP")),
        country=_json(pl.col("Country")),
        items=pl.concat_str(pl.lit("["), "item", pl.lit("]")),
    )


def customer_profiles(lines: pl.DataFrame) -> list[str]:
    """Return an upsert for a customer's first invoice, and for each later invoice with another country."""
    seen = (
        lines.filter(pl.col("customer_id").is_not_null())
        .unique("event_id", keep="first", maintain_order=True)
        .with_columns(signup=pl.col("local_time").first().over("customer_id"))
        .filter(pl.col("Country").ne_missing(pl.col("Country").shift().over("customer_id")))
    )
    return _rows(
        seen,
        event_id=_json(pl.col("customer_id") + "/" + pl.col("event_id")),
        event_type=_json(pl.lit("upsert")),
        event_time=_json(pl.col("event_time")),
        customer_id=_json(pl.col("customer_id")),
        name=_json(pl.lit(UNKNOWN)),
        email=_json(pl.lit(UNKNOWN)),
        signup_date=_json(pl.col("signup").dt.date().dt.to_string("%Y-%m-%d")),
        city=_json(pl.lit(UNKNOWN)),
        country=_json(pl.col("Country")),
        loyalty_tier=_json(pl.lit("none")),
        preferred_genres=pl.lit("[]"),
        marketing_opt_in=pl.lit("false"),
    )


def product_catalog(lines: pl.DataFrame) -> list[str]:
    """Return one upsert per product, by id, dated one minute after the last invoice."""
    last = pl.col("own_time").max().dt.replace_time_zone(ZONE, ambiguous="latest", non_existent="null")
    catalogued_at = lines.select((last + timedelta(minutes=1)).dt.to_string(RFC_3339)).item()
    return _rows(
        products(lines).filter(pl.col("StockCode").is_not_null()),
        event_id=_json(pl.col("StockCode")),
        event_type=_json(pl.lit("upsert")),
        event_time=_json(pl.lit(catalogued_at, pl.String)),
        product_id=_json(pl.col("StockCode")),
        name=_json(pl.col("name")),
        category=_json(pl.lit(UNKNOWN)),
        supplier_id=_json(pl.lit(UNKNOWN)),
        list_price=_number(pl.col("UnitPrice")),
        unit_cost=pl.lit("0"),
        reorder_point=pl.lit("0"),
        status=_json(pl.lit("active")),
    )


def products(lines: pl.DataFrame) -> pl.DataFrame:
    """Return StockCode, UnitPrice and name of each product.

    Price and name are the most frequent ones among the product's lines with a price above 0, or among all its lines if
    none has such a price. Of equally frequent ones the last is taken. A missing name is `unknown`.
    """
    priced = (pl.col("UnitPrice").str.to_decimal(scale=6) > 0).fill_null(value=False)
    priced_lines = lines.with_columns(priced=priced, name=pl.col("Description").str.strip_chars()).filter(
        pl.col("priced") | ~pl.col("priced").any().over("StockCode")
    )
    names = _usual(priced_lines.filter(pl.col("name") != ""), "name")
    return (
        _usual(priced_lines, "UnitPrice")
        .join(names, on="StockCode", how="left", maintain_order="left")
        .with_columns(pl.col("name").fill_null(UNKNOWN))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0, or 2 with a message if the file cannot be used."""
    parser = argparse.ArgumentParser(description="UCI Online Retail -> NDJSON events and an account of every line.")
    parser.add_argument("path", type=Path, help="the published table, .parquet or .csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .ndjson files and mapping.json")
    options = parser.parse_args(arguments)
    try:
        table = read_lines(options.path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        sys.stderr.write(f"to_events: {error}\n")
        return 2
    lines = invoice_lines(table)
    options.out.mkdir(parents=True, exist_ok=True)
    events = {
        "customer-profiles": customer_profiles(lines),
        "product-catalog": product_catalog(lines),
        "pos-transactions": pos_transactions(lines),
    }
    for topic, rows in events.items():
        (options.out / f"{topic}.ndjson").write_bytes("".join(f"{row}\n" for row in rows).encode())
        sys.stderr.write(f"{topic}: {len(rows):,} events\n")
    sent = sum(row.count('"line_number":') for row in events["pos-transactions"])
    counts = {topic: len(rows) for topic, rows in events.items()}
    result = {"events": counts, **account(table, lines, products(lines), sent)}
    (options.out / "mapping.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _usual(source: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return StockCode and its most frequent value of `column`, ordered by StockCode. The last one wins a tie."""
    counted = source.with_row_index("at").group_by("StockCode", column).agg(pl.len().alias("uses"), pl.col("at").max())
    return (
        counted.sort("StockCode", "uses", "at").unique("StockCode", keep="last", maintain_order=True).drop("uses", "at")
    )


def _json(value: pl.Expr) -> pl.Expr:
    """Return a text or integer as JSON text, and null as `null`."""
    return pl.struct(value.alias("v")).struct.json_encode().str.slice(len('{"v":')).str.strip_suffix("}")


def _number(text: pl.Expr) -> pl.Expr:
    """Return a number unchanged if it is a JSON number, otherwise the text as a JSON string, which silver rejects."""
    return pl.when(text.str.contains(JSON_NUMBER)).then(text).otherwise(_json(text))


def _object(**members: pl.Expr) -> pl.Expr:
    parts = [part for name, value in members.items() for part in (pl.lit(f',"{name}":'), value)]
    return pl.concat_str(pl.lit("{"), pl.concat_str(parts).str.strip_prefix(","), pl.lit("}"))


def _rows(frame: pl.DataFrame, **members: pl.Expr) -> list[str]:
    return frame.select(_object(**members)).to_series().to_list()


if __name__ == "__main__":
    sys.exit(main())
