"""Prove that every line of the Online Retail table is in gold or in quarantine, exactly once and unchanged.

    python examples/online_retail/reconcile.py PATH [--into README.md]

Reads the lakehouse at ANIMEVERSE_HOME through `animeverse query`, and the published table at PATH again, independently
of the counts of to_events.py. Sums are Decimal sums of the file's text. Prints Markdown, or writes it between the two
`output` marks of the file named by --into. Exits with 1 if a line is missing, repeated or changed, or if a month,
product or country of gold differs from the file's lines that are not in quarantine.
"""

import argparse
import base64
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from to_events import invoice_lines, read_lines

MARKS = ("<!-- output -->\n", "<!-- end of output -->\n")
TOP = 10

GOLD_LINES = """
select
    sale.transaction_id,
    string_agg(concat_ws(chr(9), line_number, product.product_id, quantity, unit_price), chr(10)) as lines,
from gold.fct_sales as sale
join gold.dim_product as product using (product_key)
group by sale.transaction_id
"""
QUARANTINED = "select reasons, value from silver.quarantine where topic = 'pos-transactions'"
VIEWS = {
    "month": """
        select strftime(date, '%Y-%m') as part, sum(net_sales_amount) as amount, sum(orders) as orders
        from marts.daily_summary
        group by part
        order by part
    """,
    "product": """
        select
            product.product_id as part,
            sum(sale.net_sales_amount) as amount,
            sum(sale.quantity) as units,
            any_value(product.name) as name,
        from gold.fct_sales as sale
        join gold.dim_product as product using (product_key)
        group by part
        order by amount desc, part
    """,
    "country": """
        select
            event.country as part,
            sum(sale.net_sales_amount) as amount,
            count(distinct sale.transaction_id) as invoices,
        from gold.fct_sales as sale
        join silver.pos_transactions as event using (event_id)
        group by part
        order by amount desc, part
    """,
}
FACTS = """
select
    (select count(*) from gold.customer_current where customer_id is not null) as customers,
    (select count(*) from gold.fct_sales where customer_key = -1) as guest_lines,
    (select count(*) from gold.fct_sales where gross_margin_amount is not null) as lines_with_a_margin,
    (select count(*) from silver.quarantine where topic <> 'pos-transactions') as other_quarantined_records,
"""


Views = dict[str, list[dict[str, Any]]]


class Line(NamedTuple):
    """One line of the published table. `place` is its position in the invoice; a return's quantity is negative."""

    invoice: str
    place: int
    product: str
    quantity: int
    price: Decimal


def query(sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query, with exact decimals. Exits with the command's exit code if it fails."""
    command = [sys.executable, "-m", "animeverse", "query", sql, "--format", "json"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603 - our own command line
    if done.returncode:
        sys.exit(done.returncode)
    rows: list[dict[str, Any]] = json.loads(done.stdout, parse_float=Decimal)
    return rows


def published(path: Path) -> dict[Line, dict[str, str]]:
    """Return every line of the table with its month (UTC), product and country."""
    month = pl.col("event_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC").dt.to_string("%Y-%m")
    lines = invoice_lines(read_lines(path)).select(
        "InvoiceNo", "line_number", "StockCode", "Quantity", "UnitPrice", month, "Country"
    )
    return {
        Line(invoice, place, product, int(quantity), Decimal(price)): {
            "month": at,
            "product": product,
            "country": country,
        }
        for invoice, place, product, quantity, price, at, country in lines.iter_rows()
    }


def in_gold() -> list[Line]:
    """Return every line of gold.fct_sales."""
    found = []
    for row in query(GOLD_LINES):
        for line in row["lines"].split("\n"):
            place, product, quantity, price = line.split("\t")
            found.append(Line(row["transaction_id"], int(place), product, int(quantity), Decimal(price)))
    return found


def in_quarantine() -> dict[str, list[Line]]:
    """Return the lines of quarantined invoices by reasons."""
    found: dict[str, list[Line]] = defaultdict(list)
    for row in query(QUARANTINED):
        event = json.loads(base64.b64decode(row["value"]), parse_float=Decimal)
        sign = -1 if event["event_type"] == "return" else 1
        found[", ".join(row["reasons"])] += [
            Line(
                event["transaction_id"],
                item["line_number"],
                item["product_id"],
                sign * item["quantity"],
                Decimal(item["unit_price"]),
            )
            for item in event["items"]
        ]
    return dict(found)


def differences(
    lines: dict[Line, dict[str, str]], gold: list[Line], refused: dict[str, list[Line]], views: Views
) -> list[str]:
    """Return all differences as text. Compares line by line, then every part of every view."""
    found = Counter(gold)
    for part in refused.values():
        found.update(part)
    wrong = [
        f"in the file, but {f'{count} times' if count else 'not'} in gold and quarantine: {line}"
        for line in lines
        if (count := found[line]) != 1
    ]
    wrong += [f"not in the file: {line}" for line in found if line not in lines]
    quarantined = {line for part in refused.values() for line in part}
    for view, rows in views.items():
        expected: dict[str, Decimal] = defaultdict(Decimal)
        for line, labels in lines.items():
            if line not in quarantined:
                expected[labels[view]] += line.quantity * line.price
        actual = {row["part"]: row["amount"] for row in rows}
        wrong += [
            f"{view} {part}: {expected.get(part, 0)} in the file, {actual.get(part, 0)} in gold"
            for part in sorted({*expected, *actual})
            if expected.get(part, 0) != actual.get(part, 0)  # a month without sales is a row of 0 in gold
        ]
    return wrong


def report(lines: dict[Line, dict[str, str]], gold: list[Line], refused: dict[str, list[Line]], views: Views) -> str:
    """Return the account of all lines and the views of gold as Markdown."""
    found = set(gold).union(*refused.values())
    parts = {
        "`gold.fct_sales`": gold,
        **{f"`silver.quarantine`: {reasons}": part for reasons, part in sorted(refused.items())},
        "dropped by the mapping": [line for line in lines if line not in found],
    }
    accounts = [_account(name, part) for name, part in parts.items()]
    accounts.append(_account("**all parts**", [line for part in parts.values() for line in part]))
    accounts.append(_account("**the file**", lines))
    facts = query(FACTS)[0]
    blocks = [_table(("part", "lines", "units", "quantity x unit price"), accounts)]
    blocks.append("".join(f"- {name.replace('_', ' ')}: {value:,}\n" for name, value in facts.items()))
    for view, rows in views.items():
        shown = rows if view == "month" else rows[:TOP]
        head = (view, "net sales", *(name for name in rows[0] if name not in ("part", "amount")))
        blocks.append(_table(head, [tuple(row.values()) for row in shown]))
    return "\n".join(blocks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 without differences, otherwise 1 with up to ten differences on stderr."""
    parser = argparse.ArgumentParser(description="Prove that every line of the table is in gold or in quarantine.")
    parser.add_argument("path", type=Path, help="the published table, .parquet or .csv")
    parser.add_argument("--into", type=Path, help="a Markdown file with the two output marks")
    options = parser.parse_args(arguments)
    lines, gold, refused = published(options.path), in_gold(), in_quarantine()
    views = {view: query(sql) for view, sql in VIEWS.items()}
    wrong = differences(lines, gold, refused, views)
    text = report(lines, gold, refused, views)
    if options.into is None:
        sys.stdout.write(text)
    else:
        before, rest = options.into.read_text().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        options.into.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    for difference in wrong[:10]:
        sys.stderr.write(f"reconcile: {difference}\n")
    sys.stderr.write(f"reconcile: {len(wrong):,} differences in {len(lines):,} lines\n")
    return 1 if wrong else 0


def _account(name: str, part: Collection[Line]) -> tuple[str, int, int, Decimal]:
    """Return name, lines, units and amount."""
    amount = sum((line.quantity * line.price for line in part), Decimal(0))
    return name, len(part), sum(line.quantity for line in part), amount


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table. The first column is text, the others are numbers."""
    written = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1), *written, ""])


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
