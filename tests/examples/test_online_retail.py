"""The Online Retail example: every line of the published table is in one event, with its own numbers."""

import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "online_retail"
PUBLISHED = ROOT.parent / "shared" / "data" / "online_retail.parquet"

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
# Published lines: a sale with an exact copy and a second time, a guest, a write-off, a price of 0, a bad debt, a
# cancellation in summer time, a customer who moves, and a product that is renamed.
LINES = [
    ("536365", "85123A", "WHITE HEART ", "6", "2010-12-01 08:26:00", "2.55", "12431.0", "Australia"),
    ("536365", "85123A", "WHITE HEART ", "6", "2010-12-01 08:26:00", "2.55", "12431.0", "Australia"),
    ("536365", "71053", 'LETTER "A"', "2", "2010-12-01 08:27:00", "0.001", "12431.0", "Australia"),
    ("536544", "85123A", "CREAM HEART", "1", "2010-12-01 14:32:00", "5.06", None, "United Kingdom"),
    ("536589", "21777", None, "-10", "2010-12-01 16:50:00", "0.0", None, "United Kingdom"),
    ("537032", "21275", "?", "3", "2010-12-03 16:50:00", "0.0", None, "United Kingdom"),
    ("544193", "71053", 'LETTER "A"', "1", "2011-02-17 08:23:00", "3.39", "12431.0", "Belgium"),
    ("A563186", "B", "Adjust bad debt", "1", "2011-08-12 14:51:00", "-11062.06", None, "United Kingdom"),
    ("C570867", "85123A", "WHITE HEART ", "-2", "2011-10-12 16:17:00", "2.55", "12431.0", "Belgium"),
]


def mapped(path: Path, out: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the events of each topic that the command writes for the table at `path`, with exact decimals."""
    command = [sys.executable, str(EXAMPLE / "to_events.py"), str(path), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return {
        file.stem: [json.loads(row, parse_float=Decimal) for row in file.read_text().splitlines()]
        for file in out.glob("*.ndjson")
    }


def table(rows: Sequence[tuple[str | None, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("retail") / "sample.parquet"
    table(LINES).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def events(sample: Path) -> dict[str, list[dict[str, Any]]]:
    return mapped(sample, sample.parent / "events")


def signed_lines(events: list[dict[str, Any]]) -> list[tuple[str, int, str, int, Decimal]]:
    """Return every line of every event: invoice, position, product, signed quantity, price."""
    return [
        (
            event["transaction_id"],
            item["line_number"],
            item["product_id"],
            -item["quantity"] if event["event_type"] == "return" else item["quantity"],
            Decimal(item["unit_price"]),
        )
        for event in events
        for item in event["items"]
    ]


def lines_of(path: Path) -> list[tuple[str, int, str, int, Decimal]]:
    """Return the same lines, read from the file."""
    places: Counter[str] = Counter()
    lines = []
    for invoice, product, quantity, price in (
        pl.read_parquet(path).select("InvoiceNo", "StockCode", "Quantity", "UnitPrice").iter_rows()
    ):
        places[invoice] += 1
        lines.append((invoice, places[invoice], product, int(quantity), Decimal(price)))
    return lines


def test_every_line_is_in_one_event_with_its_own_quantity_and_price(
    sample: Path, events: dict[str, list[dict[str, Any]]]
) -> None:
    assert signed_lines(events["pos-transactions"]) == lines_of(sample)


def test_an_invoice_is_one_event_with_the_ids_of_the_file_and_the_time_of_its_first_line(
    events: dict[str, list[dict[str, Any]]],
) -> None:
    heads = [
        (event["event_id"], event["transaction_id"], event["event_type"], event["event_time"], event["customer_id"])
        for event in events["pos-transactions"]
    ]
    assert heads == [
        ("536365", "536365", "sale", "2010-12-01T08:26:00+00:00", "12431"),
        ("536544", "536544", "sale", "2010-12-01T14:32:00+00:00", None),
        ("536589", "536589", "return", "2010-12-01T16:50:00+00:00", None),
        ("537032", "537032", "sale", "2010-12-03T16:50:00+00:00", None),
        ("544193", "544193", "sale", "2011-02-17T08:23:00+00:00", "12431"),
        ("A563186", "A563186", "sale", "2011-08-12T14:51:00+01:00", None),
        ("C570867", "C570867", "return", "2011-10-12T16:17:00+01:00", "12431"),
    ]


def test_prices_are_the_text_of_the_file(sample: Path) -> None:
    text = (sample.parent / "events" / "pos-transactions.ndjson").read_text()
    assert '"unit_price":0.001}' in text
    assert '"unit_price":-11062.06}' in text


def test_a_customer_has_one_change_for_the_first_invoice_and_one_for_each_move(
    events: dict[str, list[dict[str, Any]]],
) -> None:
    changes = [
        (event["event_id"], event["customer_id"], event["country"], event["signup_date"])
        for event in events["customer-profiles"]
    ]
    assert changes == [
        ("12431/536365", "12431", "Australia", "2010-12-01"),
        ("12431/544193", "12431", "Belgium", "2010-12-01"),
    ]


def test_a_product_has_its_most_frequent_name_and_price_and_no_cost_at_any_sale(
    events: dict[str, list[dict[str, Any]]],
) -> None:
    products = {event["product_id"]: event for event in events["product-catalog"]}
    assert {key: (event["name"], event["list_price"]) for key, event in products.items()} == {
        "21275": ("?", Decimal("0.0")),
        "21777": ("unknown", Decimal("0.0")),
        "71053": ('LETTER "A"', Decimal("3.39")),
        "85123A": ("WHITE HEART", Decimal("2.55")),
        "B": ("Adjust bad debt", Decimal("-11062.06")),
    }
    assert {event["event_time"] for event in products.values()} == {"2011-10-12T16:18:00+01:00"}


def test_an_invoice_with_both_signs_becomes_a_sale_and_a_return(tmp_path: Path) -> None:
    rows = [
        ("1", "a", "A", "2", "2011-01-05 10:00:00", "1.5", None, "France"),
        ("1", "b", "B", "-1", "2011-01-05 10:00:00", "1.5", None, "France"),
    ]
    table(rows).write_parquet(tmp_path / "mixed.parquet")
    events = mapped(tmp_path / "mixed.parquet", tmp_path)["pos-transactions"]
    assert [(event["event_id"], event["transaction_id"], event["event_type"]) for event in events] == [
        ("1", "1", "sale"),
        ("1-R", "1", "return"),
    ]
    assert signed_lines(events) == [("1", 1, "a", 2, Decimal("1.5")), ("1", 2, "b", -1, Decimal("1.5"))]


def test_missing_values_and_text_that_is_not_a_number_are_sent_unchanged(tmp_path: Path) -> None:
    rows = [
        ("1", "a", "A", "two", "5 January", "1,50", None, "France"),
        (None, None, None, None, None, None, None, None),
    ]
    table(rows).write_parquet(tmp_path / "broken.parquet")
    first, second = mapped(tmp_path / "broken.parquet", tmp_path)["pos-transactions"]
    assert first["event_time"] == "5 January"
    assert first["items"] == [{"line_number": 1, "product_id": "a", "quantity": "two", "unit_price": "1,50"}]
    assert second["transaction_id"] is None
    assert second["items"] == [{"line_number": 1, "product_id": None, "quantity": None, "unit_price": None}]
    assert json.loads((tmp_path / "mapping.json").read_text())["lines_dropped"] == 0


def test_the_published_csv_gives_the_same_events(sample: Path, events: dict[str, Any], tmp_path: Path) -> None:
    frame = pl.read_parquet(sample).with_columns(
        pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.to_string("%-m/%-d/%Y %-H:%M"),
        pl.col("CustomerID").str.strip_suffix(".0"),
        pl.col("Country").replace("Belgium", "£"),
    )
    (tmp_path / "sample.csv").write_bytes(frame.write_csv().encode("cp1252"))
    expected = json.loads(json.dumps(events, default=str).replace("Belgium", "\\u00a3"))
    assert json.loads(json.dumps(mapped(tmp_path / "sample.csv", tmp_path), default=str)) == expected


def test_the_account_adds_up(sample: Path, events: dict[str, Any]) -> None:
    account = json.loads((sample.parent / "events" / "mapping.json").read_text())
    assert account["lines_in_events"] == account["file"]["lines"] == sum(fate["lines"] for fate in account["fates"])
    assert sum(Decimal(fate["amount"]) for fate in account["fates"]) == Decimal(account["file"]["amount"])
    assert Decimal(account["file"]["amount"]) == sum(q * p for _, _, _, q, p in lines_of(sample))
    assert account["exact_copies_kept"] == 2
    assert account["not_carried"] == {
        "lines_with_other_times": 1,
        "lines_with_other_customers": 0,
        "lines_with_other_countries": 0,
        "lines_with_other_descriptions": 2,
    }


def test_a_file_without_the_columns_is_rejected_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("InvoiceNo,StockCode\n1,a\n")
    command = [sys.executable, str(EXAMPLE / "to_events.py"), str(tmp_path / "other.csv"), "--out", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "missing: Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country" in done.stderr


@pytest.fixture
def reconcile(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return importlib.import_module("reconcile")


def test_a_missing_a_repeated_and_a_changed_line_are_each_reported(
    reconcile: Any, sample: Path, events: dict[str, list[dict[str, Any]]]
) -> None:
    lines = reconcile.published(sample)
    sent = [reconcile.Line(*line) for line in signed_lines(events["pos-transactions"])]
    assert reconcile.differences(lines, sent, {}, {}) == []
    assert reconcile.differences(lines, sent[1:], {"a reason": sent[:1]}, {}) == []
    assert reconcile.differences(lines, sent[1:], {}, {}) == [f"in the file, but not in gold and quarantine: {sent[0]}"]
    assert reconcile.differences(lines, sent, {"a reason": sent[:1]}, {}) == [
        f"in the file, but 2 times in gold and quarantine: {sent[0]}"
    ]
    changed = sent[0]._replace(quantity=7)
    assert reconcile.differences(lines, [changed, *sent[1:]], {}, {}) == [
        f"in the file, but not in gold and quarantine: {sent[0]}",
        f"not in the file: {changed}",
    ]


def test_a_month_that_differs_in_the_last_digit_is_reported(
    reconcile: Any, sample: Path, events: dict[str, list[dict[str, Any]]]
) -> None:
    lines = reconcile.published(sample)
    sent = [reconcile.Line(*line) for line in signed_lines(events["pos-transactions"])]
    amounts = {"2010-12": "35.662", "2011-02": "3.39", "2011-08": "-11062.06", "2011-10": "-5.1"}
    months: list[dict[str, Any]] = [{"part": month, "amount": Decimal(amount)} for month, amount in amounts.items()]
    assert reconcile.differences(lines, sent, {}, {"month": months}) == []
    months[0]["amount"] += Decimal("0.0001")
    assert reconcile.differences(lines, sent, {}, {"month": months}) == [
        "month 2010-12: 35.662 in the file, 35.6621 in gold"
    ]


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published table is not beside the repository")
def test_every_line_and_digit_of_the_published_table_is_in_the_events(tmp_path: Path) -> None:
    events = mapped(PUBLISHED, tmp_path)
    sent = signed_lines(events["pos-transactions"])
    assert len(events["pos-transactions"]) == 25_900
    assert len(sent) == 541_909
    assert Counter(sent) == Counter(lines_of(PUBLISHED))
    assert sum(quantity * price for _, _, _, quantity, price in sent) == Decimal("9747747.934")
    assert len({event["customer_id"] for event in events["customer-profiles"]}) == 4_372
    assert len(events["product-catalog"]) == 4_070


def through_all_layers(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run run.sh on the table at `path`, without the settings of the test environment."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("ANIMEVERSE_")}
    command = ["sh", str(EXAMPLE / "run.sh"), str(path), str(folder)]
    environment = {**settings, "PYTHON": sys.executable}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_only_the_bad_debt_of_the_sample_is_quarantined(sample: Path, tmp_path: Path) -> None:
    done = through_all_layers(sample, tmp_path / "retail")
    assert done.returncode == 0, done.stderr
    assert "| `gold.fct_sales` | 8 | 7 | 33.952 |\n" in done.stdout
    assert "| `silver.quarantine`: range:items.unit_price | 1 | 1 | -11,062.06 |\n" in done.stdout
    assert "| **all parts** | 9 | 8 | -11,028.108 |\n| **the file** | 9 | 8 | -11,028.108 |\n" in done.stdout
    assert "- lines with a margin: 0\n" in done.stdout
    assert "| 85123A | 30.56 | 11 | WHITE HEART |\n" in done.stdout
    assert "| Australia | 30.602 | 1 |\n" in done.stdout

    again = through_all_layers(sample, tmp_path / "retail")
    assert again.returncode == 2
    assert "exists" in again.stderr


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published table is not beside the repository")
def test_every_line_and_digit_of_the_published_table_is_in_gold(tmp_path: Path) -> None:
    done = through_all_layers(PUBLISHED, tmp_path / "retail")
    assert done.returncode == 0, done.stderr
    assert "| `gold.fct_sales` | 541,907 | 5,176,448 | 9,769,872.054 |\n" in done.stdout
    assert "| `silver.quarantine`: range:items.unit_price | 2 | 2 | -22,124.12 |\n" in done.stdout
    assert "| **all parts** | 541,909 | 5,176,450 | 9,747,747.934 |\n" in done.stdout
    assert "| **the file** | 541,909 | 5,176,450 | 9,747,747.934 |\n" in done.stdout
