"""CSV files: what is read, what is rejected, and with which reason (R28)."""

import io
import json
from typing import Any

import pytest

from pipelines.bronze.landing_csv import csv_values
from pipelines.bronze.landing_csv_header import required_fields
from pipelines.bronze.landing_errors import UnreadableFileError
from pipelines.bronze.landing_limits import MAX_RECORD_BYTES
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from tests.pipelines.bronze.landing_home import HEADER, TOPIC, accepted, csv_row, drop, reason_of, rows, run_once

REVIEWS = "event_id,event_type,event_time,review_id,customer_id,product_id,rating,verified_purchase,review_text\n"


def read(content: str | bytes, topic: str = TOPIC, skip_lines: int = 0) -> list[tuple[int, dict[str, Any]]]:
    raw = content.encode() if isinstance(content, str) else content
    return [
        (line, json.loads(value)) for line, value in csv_values(topic, io.BufferedReader(io.BytesIO(raw)), skip_lines)
    ]


def rejection(content: str | bytes, topic: str = TOPIC) -> str:
    with pytest.raises(UnreadableFileError) as found:
        read(content, topic)
    return str(found.value)


def review(number: int, text: str) -> str:
    return f"r{number},review,2026-03-01T09:00:00Z,R{number},C1,P1,5,true,{text}\n"


# 2: quotes


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ('"great, but the box was open', 3, "a quote is opened and never closed"),
        ('"', 3, "a quote is opened and never closed"),
        ('"a ""b"" c', 3, "a quote is opened and never closed"),
        ('"24" Poster"', 3, 'text after a closing quote: "24" Poster"'),
        ('"fine" ', 3, "text after a closing quote"),
        ('"first\nsecond" third', 4, "text after a closing quote"),
        ('24" poster', 3, 'a quote inside a cell without quotes: 24" poster'),
        (' "blank before"', 3, "a quote inside a cell without quotes"),
    ],
)
def test_a_misplaced_quote_rejects_the_file_and_names_its_line(text: str, line: int, fault: str) -> None:
    content = REVIEWS + review(1, "fine") + review(2, text) + "".join(review(n, "fine") for n in range(3, 9))
    assert f"line {line}: {fault}" in rejection(content, "customer-reviews")


def test_the_line_of_an_unclosed_quote_is_that_of_the_quote_and_not_of_the_row() -> None:
    content = REVIEWS + review(1, "fine") + 'r2,review,"\n",R2,C1,P1,5,true,"open\n' + review(3, "fine")
    assert "line 4: a quote is opened" in rejection(content, "customer-reviews")


def test_an_unclosed_quote_before_more_text_than_a_record_may_have_is_named() -> None:
    content = REVIEWS + review(1, '"open') + "".join(review(n, "x" * 10_000) for n in range(150))
    assert "a quote is opened and never closed at line 2" in rejection(content, "customer-reviews")


def test_quoted_separators_quotes_and_line_ends_are_content() -> None:
    content = REVIEWS + review(1, '"24"" Poster, framed\r\nnew"') + review(2, '""')
    found = read(content, "customer-reviews")
    assert [(line, event.get("review_text")) for line, event in found] == [(3, '24" Poster, framed\r\nnew'), (4, None)]


def test_a_file_with_one_misplaced_quote_is_rejected_as_a_whole(settings: Settings) -> None:
    drop(settings, "open.csv", REVIEWS + review(1, "fine") + review(2, '"open'), "customer-reviews")
    drop(settings, "good.csv", REVIEWS + review(3, "fine"), "customer-reviews")
    run_once(settings)
    assert accepted(settings, "customer-reviews") == ["r3"]
    assert reason_of(settings, "open.csv", "customer-reviews") == "line 3: a quote is opened and never closed"
    assert rows(settings, "ops.landing_files")["file"].to_list() == ["good.csv"]


# rows of another width, rows without content (15)


@pytest.mark.parametrize(("row", "found"), [("e9,delivery\n", 2), (csv_row(9).rstrip("\n") + ",\n", 10), ("x\n", 1)])
def test_a_row_of_another_width_rejects_the_file_and_names_its_line(row: str, found: int) -> None:
    assert rejection(HEADER + csv_row(0) + row + csv_row(1)) == (
        f"line 3: expected 9 cells, as in the header, found {found}"
    )


@pytest.mark.parametrize(
    "row", ["\n", ",,,,,,,,\n", '"","",,,,,,,\n', "   \n", " ,\t,,,,,,,\n", ",,,,,,,,,,,,,\n", "\r\n"]
)
def test_rows_without_content_are_skipped(row: str) -> None:
    found = read(HEADER + row + csv_row(0) + row + row + csv_row(1) + row)
    assert [event["event_id"] for _, event in found] == ["e0", "e1"]


def test_rows_without_content_before_the_header_are_skipped() -> None:
    assert [line for line, _ in read("\n,,,\n" + HEADER + csv_row(0))] == [4]


# 3, 13, 14: the header


def test_required_fields_are_those_of_every_event_type() -> None:
    assert required_fields(TOPIC) == (
        *("event_id", "event_time", "event_type", "update_id", "product_id", "warehouse_id", "quantity"),
    )
    assert required_fields("product-catalog") == ("event_id", "event_time", "event_type", "product_id")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_first_row_that_names_no_required_field_rejects_the_file(topic: str) -> None:
    content = "i1,delivery,2026-11-02T09:00:00Z,U1\ni2,delivery,2026-11-02T09:00:00Z,U2\n"
    assert rejection(content, topic) == (
        f"expected a header row that names {', '.join(required_fields(topic))}; found 'i1', 'delivery', "
        "'2026-11-02T09:00:00Z', 'U1'. The first row must name the columns"
    )


@pytest.mark.parametrize("missing", required_fields(TOPIC))
def test_a_header_without_one_required_field_rejects_the_file_and_names_it(missing: str) -> None:
    assert f"Missing: {missing}" in rejection(HEADER.replace(missing, "other") + csv_row(0))


def test_a_header_of_master_data_needs_only_what_a_delete_has() -> None:
    content = "event_id,event_type,event_time,product_id\ne1,delete,2026-03-01T10:00:00Z,P1\n"
    assert len(read(content, "product-catalog")) == 1


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        (HEADER.replace(",", ", "), "Remove the blanks around the names"),
        (HEADER.replace(",", " ;"), "Remove the blanks around the names"),
        (HEADER.replace(",unit_cost", ", unit_cost"), "without blanks around them, found ' unit_cost'"),
        (HEADER.upper(), "Write the names in lower case"),
        (HEADER.replace(",", "|"), "separated by '|'"),
        ("sep=,\n" + HEADER, "Remove the line sep="),
        (HEADER.replace("unit_cost", ""), "found none for column 9"),
        (HEADER.replace("unit_cost", "quantity"), "found 'quantity' twice"),
        ("", "found no row"),
        ("\n,,\n", "found no row"),
    ],
)
def test_a_header_that_is_none_rejects_the_file_with_a_hint(header: str, hint: str) -> None:
    assert hint in rejection(header)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_header_shows_the_separator(separator: str) -> None:
    quoted = HEADER.replace(",", f'"{separator}"').replace("event_id", '"event_id').replace("\n", '"\n')
    for header in (HEADER.replace(",", separator), quoted):
        ((_, event),) = read(
            header
            + csv_row(0, supplier_id='"S,;\t1"').replace(",", separator).replace(f'"S{separator};\t1"', '"S,;\t1"')
        )
        assert (event["event_id"], event["quantity"], event["supplier_id"]) == ("e0", 1, "S,;\t1")


def test_a_decimal_comma_is_quarantined_and_not_repaired(settings: Settings) -> None:
    content = (HEADER + csv_row(0, unit_cost="4.50")).replace(",", ";") + csv_row(1, unit_cost="4#50").replace(
        ",", ";"
    ).replace("#", ",")
    drop(settings, "excel.csv", content.replace("\n", "\r\n"))
    run_once(settings)
    assert accepted(settings) == ["e0"]
    (found,) = rows(settings, "silver.quarantine").to_dicts()
    assert found["reasons"] == ["type:unit_cost"]
    assert found["detail"] == 'excel.csv line 3: unit_cost: expected an amount of at least 0, found "4,50"'


# encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_shows_the_encoding(encoding: str) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    content = (mark + HEADER + csv_row(0, supplier_id="Größe 😀")).encode(encoding)
    ((_, event),) = read(content)
    assert event["supplier_id"] == "Größe 😀"


def test_utf_16_with_semicolons_as_excel_writes_it_is_read() -> None:
    assert len(read((HEADER + csv_row(0) + csv_row(1)).replace(",", "\t").encode("utf-16"))) == 2


def test_utf_32_is_rejected_by_its_byte_order_mark() -> None:
    assert "UTF-32" in rejection(HEADER.encode("utf-32"))


def test_a_cut_utf_16_file_is_rejected(settings: Settings) -> None:
    drop(settings, "a.csv", (HEADER + csv_row(0)).encode("utf-16")[:-1])
    run_once(settings)
    assert "UTF-16" in reason_of(settings, "a.csv")


def test_a_row_that_is_not_utf_8_is_quarantined_with_a_reason_that_speaks_of_csv(settings: Settings) -> None:
    bad = csv_row(1, supplier_id="M?ller").encode().replace(b"?", b"\xfc")
    drop(settings, "a.csv", HEADER.encode() + csv_row(0).encode() + bad)
    run_once(settings)
    assert accepted(settings) == ["e0"]
    (found,) = rows(settings, "silver.quarantine").to_dicts()
    assert found["value"] == bad.rstrip(b"\n")
    assert found["detail"] == f"a.csv line 3: expected UTF-8 text: byte {bad.index(0xFC)} is 0xfc"


def test_no_reason_of_a_csv_row_speaks_of_json_where_the_cell_is_none(settings: Settings) -> None:
    bad = [
        {"quantity": "one"},
        {"quantity": "NaN"},
        {"event_time": "yesterday"},
        {"event_type": "x"},
        {"update_id": ""},
    ]
    drop(settings, "a.csv", HEADER + "".join(csv_row(number, **cells) for number, cells in enumerate(bad)))
    run_once(settings)
    details = rows(settings, "silver.quarantine").sort("offset")["detail"].to_list()
    assert len(details) == len(bad)
    assert [detail.split(":")[0] for detail in details] == [f"a.csv line {n}" for n in range(2, 7)]
    assert not [detail for detail in details if "JSON" in detail]


# limits


@pytest.mark.parametrize(
    "row",
    [
        csv_row(1, supplier_id="x" * (MAX_RECORD_BYTES + 1)),
        csv_row(1, supplier_id='"' + "x\n" * MAX_RECORD_BYTES + '"'),
        csv_row(1, supplier_id="\x01" * (MAX_RECORD_BYTES // 2)),  # \u0001 as JSON text
    ],
)
def test_a_row_larger_than_a_log_record_rejects_the_file(row: str) -> None:
    assert "line 3: expected at most 1,048,576 bytes" in rejection(HEADER + csv_row(0) + row)


def test_a_header_without_an_end_rejects_the_file() -> None:
    assert "line 1: expected at most" in rejection("event_id," * MAX_RECORD_BYTES)
