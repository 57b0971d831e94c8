"""Warn rules of silver: they count records and leave them in (R10). Gold counts its own warn rules."""

import polars as pl
import pyarrow as pa

from pipelines.contracts.fields import WHITE_SPACE
from pipelines.contracts.registry import Contract

_DISCOUNT_FIELDS = {"discount_amount", "unit_price", "quantity"}


def warn_counts(
    contract: Contract, accepted: pl.DataFrame, lines: pl.DataFrame | None, records: pa.Table
) -> pl.DataFrame:
    """How many accepted records met each warn rule: batch_id, rule, rows. `accepted.row` is an index into records."""
    row = accepted["row"]
    keys = pl.Series(pl.from_arrow(records.column("key")))[row]
    rules = {
        "money_rounded": accepted["money_rounded"],
        "key_mismatch": (keys != accepted[contract.key_field].cast(pl.Binary)).fill_null(False),
    }
    if contract.topic == "pos-transactions":
        rules["store_missing"] = accepted.select(
            (pl.col("channel") == "store") & (pl.col("store_id").fill_null("").str.strip_chars(WHITE_SPACE) == "")
        ).to_series()
    if lines is not None and _DISCOUNT_FIELDS.issubset(lines.columns):
        rules["discount_exceeds_line"] = row.is_in(_rows_with_excess_discount(lines).to_list())
    flags = pl.DataFrame(rules)
    if not any(flags[rule].any() for rule in rules):
        return pl.DataFrame(schema={"batch_id": pl.Int64, "rule": pl.String, "rows": pl.UInt32})
    batch = pl.Series(pl.from_arrow(records.column("batch_id")))[row].alias("batch_id")
    return (
        flags.with_columns(batch)
        .unpivot(index="batch_id", variable_name="rule", value_name="met")
        .filter("met")
        .group_by("batch_id", "rule")
        .agg(pl.len().alias("rows"))
        .sort("batch_id", "rule")
    )


def _rows_with_excess_discount(lines: pl.DataFrame) -> pl.Series:
    # 18 + 19 digits: the product always fits decimal(38, 4).
    discounted = lines.filter(pl.col("discount_amount").is_not_null())
    amount = pl.col("unit_price").cast(pl.Decimal(38, 4)) * pl.col("quantity").cast(pl.Decimal(38, 0))
    return discounted.filter(pl.col("discount_amount").cast(pl.Decimal(38, 4)) > amount)["row"].unique()
