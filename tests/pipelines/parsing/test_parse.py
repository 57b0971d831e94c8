"""Laws of parsing: no record is lost, order is kept, and both paths give the same rows."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.contracts.tables import event_fields
from pipelines.parsing import parse as parse_module
from pipelines.parsing.parse import Layouts, ParseRules, parse, parse_exactly
from tests.pipelines.parsing.fuzz_parse import batch, differences

RULES = ParseRules()


def rows(count: int) -> pl.Series:
    return pl.Series(range(count), dtype=pl.UInt32)


@settings(max_examples=40, deadline=None)
@given(topic=st.sampled_from(TOPICS), seed=st.integers(0, 2**32), damage=st.sampled_from([0.02, 0.3, 0.9]))
def test_parse_gives_what_the_exact_path_gives(topic: str, seed: int, damage: float) -> None:
    values = batch(topic, random.Random(seed), 600, damage)
    parsed = parse(CONTRACTS[topic], pa.array(values, pa.binary()), RULES, Layouts())
    assert differences(CONTRACTS[topic], values, parsed, RULES) == []


@settings(max_examples=200, deadline=None)
@given(topic=st.sampled_from(TOPICS), values=st.lists(st.none() | st.binary(max_size=40), max_size=5))
def test_arbitrary_bytes_are_rejected_with_reasons(topic: str, values: list[bytes | None]) -> None:
    parsed = parse(CONTRACTS[topic], pa.array(values, pa.binary()), RULES, Layouts())
    assert parsed.events.height == 0
    assert parsed.rejects["row"].to_list() == list(range(len(values)))
    assert all(parsed.rejects["reasons"].list.len() > 0)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_columns_are_those_of_the_contract_for_any_number_of_rows(topic: str, count: int) -> None:
    contract = CONTRACTS[topic]
    values = batch(topic, random.Random(2), count, 0.0)
    parsed = parse(contract, pa.array(values, pa.binary()), RULES, Layouts())
    fields = [pa.field(field.name, field.type) for field in event_fields(contract)]
    tail = [pa.field("_extra", pa.string()), pa.field("money_rounded", pa.bool_())]
    expected = pl.from_arrow(pa.schema([pa.field("row", pa.uint32()), *fields, *tail]).empty_table())
    assert isinstance(expected, pl.DataFrame)
    assert parsed.events.schema == expected.schema
    assert parsed.rejects.columns == ["row", "event_id", "reasons", "detail"]
    assert parsed.events.height + parsed.rejects.height == count


def test_invalid_values_affect_neither_other_values_nor_the_fast_path(caplog: pytest.LogCaptureFixture) -> None:
    contract = CONTRACTS["cinema-sales"]
    good = batch("cinema-sales", random.Random(4), 1000, 0.0)
    bad = [b"\xff", None, b"", b"\xed\xa0\x80", b"{" * 500, b"\x00", b'"\\ud800"', b"9" * 100_000]
    values = [value for pair in zip(good, (bad * 125), strict=True) for value in pair]
    layouts = Layouts()
    parsed = parse(contract, pa.array(values, pa.binary()), RULES, layouts)
    alone = parse(contract, pa.array(good, pa.binary()), RULES, layouts)
    assert parsed.rejects["row"].to_list() == list(range(1, 2000, 2))
    assert parsed.events.drop("row").equals(alone.events.drop("row"))
    assert layouts.compiled(contract, RULES)[0].hits > 0
    assert caplog.records == []


def test_no_record_is_lost_when_the_fast_path_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> pl.DataFrame:
        raise duckdb.Error("not available")

    monkeypatch.setattr(parse_module, "parse_fast", failing)
    values = batch("cinema-sales", random.Random(5), 500, 0.3)
    with caplog.at_level(logging.WARNING):
        parsed = parse(CONTRACTS["cinema-sales"], pa.array(values, pa.binary()), RULES, Layouts())
    assert differences(CONTRACTS["cinema-sales"], values, parsed, RULES) == []
    assert "cinema-sales: the fast path failed" in caplog.text


def test_a_slice_of_a_batch_is_read_like_the_batch() -> None:
    values = pa.array(batch("pos-transactions", random.Random(6), 2000, 0.2), pa.binary())
    whole = parse(CONTRACTS["pos-transactions"], values, RULES, Layouts())
    part = parse(CONTRACTS["pos-transactions"], values[700:1500], RULES, Layouts())
    expected = whole.events.filter(pl.col("row").is_between(700, 1499)).with_columns(pl.col("row") - 700)
    assert part.events.equals(expected.with_columns(pl.col("row").cast(pl.UInt32)))


def test_threads_can_share_layouts() -> None:
    contract, layouts = CONTRACTS["pos-transactions"], Layouts()
    batches = [batch("pos-transactions", random.Random(seed), 1500, 0.3) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        parsed = list(pool.map(lambda v: parse(contract, pa.array(v, pa.binary()), RULES, layouts), batches))
    for values, one in zip(batches, parsed, strict=True):
        assert differences(contract, values, one, RULES) == []


def test_a_ten_megabyte_record_is_read_like_any_other() -> None:
    value = b'{"note":"' + b"x" * 10**7 + b'",' + (batch("customer-reviews", random.Random(8), 1, 0.0)[0] or b"")[1:]
    parsed = parse_exactly(CONTRACTS["customer-reviews"], pa.array([value], pa.binary()), rows(1), RULES)
    assert parsed.events["_extra"].str.len_bytes().to_list() == [10**7 + len('{"note":""}')]
