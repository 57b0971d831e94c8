"""Landing files are bounded before they are judged: lines, cells, what compressed files expand to (R28; A13)."""

import bz2
import gzip
import io
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.bronze import landing_parquet, landing_records
from pipelines.bronze.landing_errors import UnreadableFileError
from pipelines.bronze.landing_limits import MAX_RECORD_BYTES
from pipelines.bronze.landing_parquet import parquet_values
from pipelines.config.settings import Settings
from tests.pipelines.bronze.landing_home import (
    HEADER,
    NOW,
    accepted,
    csv_row,
    drop,
    lines,
    movement,
    reason_of,
    rows,
    run_once,
)


def padded(number: int, size: int) -> bytes:
    """An event of exactly this many bytes."""
    without = len(lines(movement(number, note=""))) - 1
    return lines(movement(number, note="x" * (size - without)))


def parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def values(content: bytes) -> list[bytes]:
    return [value for _, value in parquet_values(io.BytesIO(content), len(content))]


def test_a_line_as_large_as_a_log_record_is_read(settings: Settings) -> None:
    drop(settings, "a.ndjson", padded(0, MAX_RECORD_BYTES).replace(b"\n", b"\r\n"))
    run_once(settings)
    assert accepted(settings) == ["e0"]


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
@pytest.mark.parametrize(
    "bad",
    [padded(1, MAX_RECORD_BYTES + 1), b"[" * 5 * MAX_RECORD_BYTES, b"\0" * (80 << 20)],
    ids=["one byte more", "brackets", "80 MiB of zeros"],
)
def test_a_larger_line_rejects_the_file_and_names_it(settings: Settings, name: str, bad: bytes) -> None:
    content = lines(movement(0)) + bad
    drop(settings, name, gzip.compress(content, 1) if name.endswith(".gz") else content)
    run_once(settings)
    assert accepted(settings) == []
    assert reason_of(settings, name) == "line 2: expected at most 1,048,576 bytes, found more"


@pytest.mark.parametrize(
    ("name", "unit"),
    [("bomb.ndjson.gz", b" " * 999 + b"\n"), ("bomb.csv.gz", b" " * 999 + b"\n"), ("bomb.csv.gz", b",,,,,,,,\n")],
)
def test_a_file_that_expands_beyond_the_ratio_is_rejected(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, unit: bytes
) -> None:
    monkeypatch.setattr(landing_records, "UNPACKED_FREE", 1 << 20)
    content = gzip.compress(HEADER.encode() * ("csv" in name) + unit * ((8 << 20) // len(unit)))
    limit = max(1 << 20, 200 * len(content))
    drop(settings, name, content)
    drop(settings, "good.ndjson", lines(movement(1)))
    run_once(settings)
    assert accepted(settings) == ["e1"]
    assert reason_of(settings, name) == f"{len(content):,} bytes expand to more than {limit:,}"


def test_a_file_that_compresses_well_is_read(settings: Settings) -> None:
    drop(settings, "a.ndjson.gz", gzip.compress(lines(*[movement(0)] * 20_000)))
    run_once(settings)
    assert len(rows(settings, "bronze.inventory_updates")) == 20_000


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(lines(movement(0)))[:-5],
        gzip.compress(lines(movement(0))) + b"rest",
        bz2.compress(lines(movement(0))),
        gzip.compress(lines(*map(movement, range(50))))[:60] + b"\xff" * 40,
        b"",
    ],
    ids=["cut", "followed by text", "another format", "damaged", "empty"],  # gzip's header holds the time
)
def test_a_damaged_gzip_file_is_rejected(settings: Settings, content: bytes) -> None:
    drop(settings, "a.ndjson.gz", content)
    run_once(settings)
    assert accepted(settings) == []
    if content:
        assert reason_of(settings, "a.ndjson.gz").startswith("expected gzip: ")


# Parquet


def test_a_parquet_row_larger_than_a_log_record_rejects_the_file() -> None:
    table = pa.table({"a": ["x", "y" * (MAX_RECORD_BYTES + 1)]})
    with pytest.raises(UnreadableFileError, match="row 2: expected at most 1,048,576 bytes"):
        values(parquet(table))


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.list_(pa.string()), pa.struct([("b", pa.string())])])
def test_a_value_repeated_in_a_parquet_file_is_decoded_in_bounded_memory(kind: pa.DataType) -> None:
    size, count = 1_000_000, 2_000
    text: Any = "x" * size
    value = [text] if pa.types.is_list(kind) else {"b": text} if pa.types.is_struct(kind) else text
    content = parquet(pa.table({"a": pa.array([value] * count, kind)}), dictionary_pagesize_limit=4 << 20)
    assert len(content) < 1_000_000
    before, most, found = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    try:
        for _ in parquet_values(io.BytesIO(content), len(content)):
            found += 1
            most = max(most, pa.total_allocated_bytes() - before)
            if found >= 40:
                break
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 40
    assert most < 400 << 20
    assert python < 400 << 20


def test_a_row_group_beyond_the_limit_rejects_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(pa.table({"a": [random.Random(n).randbytes(100) for n in range(2_000)]}), row_group_size=1_000)
    assert len(values(content)) == 2_000
    monkeypatch.setattr(landing_parquet, "MAX_ROW_GROUP_BYTES", 50_000)
    with pytest.raises(UnreadableFileError, match="row group 0: expected at most 50,000 bytes, found"):
        values(content)


def test_a_row_group_that_expands_beyond_the_ratio_rejects_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"a": ["x" * 1_000 + str(n) for n in range(3_000)]})
    content = parquet(table, use_dictionary=False, compression="zstd")
    monkeypatch.setattr(landing_parquet, "UNPACKED_FREE", 1 << 20)
    with pytest.raises(UnreadableFileError, match=r"row group 0: .* bytes expand to"):
        values(content)


def test_rows_without_an_end_reject_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(pa.table({"a": pa.repeat(pa.scalar(1), 1_000_000)}))
    monkeypatch.setattr(landing_parquet, "PARQUET_TEXT_FREE", 1 << 20)
    monkeypatch.setattr(landing_parquet, "MAX_PARQUET_TEXT_RATIO", 10)
    with pytest.raises(UnreadableFileError, match="bytes in all rows"):
        values(content)


def test_a_damaged_parquet_file_is_rejected_and_stops_nothing(settings: Settings) -> None:
    events = [movement(number, event_time=NOW, note=str(number) * 50) for number in range(200)]
    whole = parquet(pa.Table.from_pylist(events))
    damage = random.Random(7)
    for number in range(25):
        content = bytearray(whole)
        for _ in range(damage.choice([1, 20])):
            content[damage.randrange(4, len(content))] = damage.randrange(256)
        drop(
            settings,
            f"{number}.parquet",
            bytes(content[: damage.choice([len(content), damage.randrange(len(content))])]),
        )
    drop(settings, "good.ndjson", lines(movement(900)))
    run_once(settings)
    assert "e900" in accepted(settings)
    root = settings.home / "landing"
    assert not list((root / "inventory-updates").iterdir())
    for path in (root / "_rejected/inventory-updates").glob("*.parquet"):
        assert Path(f"{path}.reason").read_text().strip()


def test_texts_and_their_dictionaries_give_the_same_rows() -> None:
    texts = ["a", None, "b", "a", "", "é"]
    columns = {
        "plain": pa.array(texts),
        "large": pa.array(texts, pa.large_string()),
        "category": pa.array(texts).dictionary_encode(),
        "bytes": pa.array([text and text.encode() for text in texts], pa.binary()),
        "nested": pa.array([[text] if text else None for text in texts]),
    }
    for dictionary in (True, False):
        found = values(parquet(pa.table(columns), use_dictionary=dictionary))
        assert found[0] == b'{"plain":"a","large":"a","category":"a","bytes":"a","nested":["a"]}'
        assert found[1] == b"{}"
        assert found[4] == b'{"plain":"","large":"","category":"","bytes":""}'
        assert found[5].decode() == '{"plain":"é","large":"é","category":"é","bytes":"é","nested":["é"]}'


def test_parquet_numbers_that_json_lacks_are_faults_of_their_field(settings: Settings) -> None:
    bad = [float("nan"), float("inf"), float("-inf")]
    drop(settings, "a.parquet", parquet(pa.Table.from_pylist([movement(n, unit_cost=v) for n, v in enumerate(bad)])))
    run_once(settings)
    found = rows(settings, "silver.quarantine").sort("offset")
    assert found["reasons"].to_list() == [["type:unit_cost"]] * 3
    assert [detail.rsplit(" ", 1)[1] for detail in found["detail"]] == ['"nan"', '"inf"', '"-inf"']


def test_limits_hold_where_pieces_begin(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_records, "_CHUNK_ROWS", 2)
    drop(settings, "a.csv", HEADER + "".join(csv_row(number) for number in range(5)) + "x,y\n")
    run_once(settings)
    assert accepted(settings) == []
    assert "line 7: expected 9 cells" in reason_of(settings, "a.csv")
