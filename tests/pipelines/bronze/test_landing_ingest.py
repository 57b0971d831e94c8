import gzip
import io
import os
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.bronze.landing_file import LandingFile
from pipelines.bronze.landing_moves import LandingMoves
from pipelines.config.settings import Settings
from tests.pipelines.bronze.landing_home import NOW, drop, lines, movement, rows, run_once


def test_a_file_becomes_records_of_partition_minus_one_that_name_file_and_line(settings: Settings) -> None:
    path = drop(settings, "a.ndjson", lines(movement(0)) + b"\r\n" + lines(movement(1)) + b"no json\n")
    report, _ = run_once(settings)
    bronze = rows(settings, "bronze.inventory_updates").sort("offset")
    assert bronze["partition"].to_list() == [-1, -1, -1]
    assert bronze["offset"].to_list() == [0, 1, 2]
    assert bronze["timestamp"].to_list() == [NOW] * 3
    headers = [{h["key"]: h["value"] for h in found} for found in bronze["headers"].to_list()]
    assert headers[1] == {"file": b"a.ndjson", "line": b"3"}
    assert rows(settings, "silver.inventory_updates")["event_id"].sort().to_list() == ["e0", "e1"]
    assert rows(settings, "silver.quarantine")["reasons"].to_list() == [["invalid_json"]]
    assert report.topics["inventory-updates"].polled == 3
    assert not path.exists()
    assert (settings.home / "landing/_done/inventory-updates/a.ndjson").exists()


def test_the_same_content_under_a_new_name_is_said_and_not_ingested_again(settings: Settings) -> None:
    drop(settings, "a.ndjson", lines(movement(0)))
    run_once(settings)
    drop(settings, "b.ndjson", lines(movement(0)))
    _, notes = run_once(settings)
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert any("same content as a.ndjson" in note for note in notes)
    assert rows(settings, "ops.landing_files").select("file", "rows").rows() == [("a.ndjson", 1)]


def test_hidden_and_unfinished_names_are_left_alone(settings: Settings) -> None:
    kept = [drop(settings, name, lines(movement(0))) for name in (".a.ndjson", "_a.ndjson", "a.tmp", "a.part")]
    run_once(settings)
    assert all(path.exists() for path in kept)


def test_an_unreadable_file_moves_away_with_its_reason_and_the_rest_goes_on(settings: Settings) -> None:
    drop(settings, "a.parquet", b"not parquet")
    drop(settings, "b.ndjson.gz", b"not gzip")
    drop(settings, "c.xlsx", b"?")
    drop(settings, "d.csv", b"")
    drop(settings, "e.ndjson.gz", gzip.compress(lines(movement(0))))
    run_once(settings)
    rejected = settings.home / "landing/_rejected/inventory-updates"
    for name in ("a.parquet", "b.ndjson.gz", "c.xlsx", "d.csv"):
        assert (rejected / name).exists()
        assert (rejected / f"{name}.reason").read_text().strip()
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e0"]


def test_what_lies_beside_the_topics_folders_is_said_once_and_left_there(settings: Settings) -> None:
    stray = drop(settings, "a.ndjson", lines(movement(0)), topic="inventory_updates")
    _, notes = run_once(settings)
    assert stray.exists()
    assert [note.split(":")[0] for note in notes if "landing/" in note] == ["landing/inventory_updates is not read"]


def test_a_name_that_is_no_text_or_as_long_as_names_can_be_stops_nothing(settings: Settings) -> None:
    drop(settings, os.fsdecode(b"\xff.ndjson"), lines(movement(0)))
    drop(settings, "n" * 247 + ".parquet", b"not parquet")
    run_once(settings)
    run_once(settings)
    assert rows(settings, "ops.landing_files")["file"].to_list() == ["\ufffd.ndjson"]
    (moved,) = (settings.home / "landing/_rejected/inventory-updates").glob("*.parquet")
    assert moved.with_name(moved.name + ".reason").exists()


def test_a_byte_order_mark_before_a_csv_header_is_no_part_of_a_name(settings: Settings) -> None:
    head = "\ufeffevent_id,event_type,event_time,update_id,product_id,warehouse_id,quantity\n"
    drop(settings, "a.csv", (head + "e1,shrinkage,2026-03-01T10:00:00Z,u1,P1,W1,1\n").encode())
    run_once(settings)
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e1"]


def test_csv_cells_are_read_by_the_contract_and_empty_ones_are_null(settings: Settings) -> None:
    head = "event_id,event_type,event_time,update_id,product_id,warehouse_id,quantity,supplier_id,unit_cost,007\n"
    good = 'e1,delivery,2026-03-01T10:00:00Z,"u,1",P1,W1,5,S1,1.23456,x\n'
    no_supplier = "e2,shrinkage,2026-03-01T10:00:00Z,u2,P1,W1,1,,,\n"
    bad_count = "e3,shrinkage,2026-03-01T10:00:00Z,u3,P1,W1,one,,,\n"
    drop(settings, "a.csv", (head + good + no_supplier + bad_count).encode())
    run_once(settings)
    silver = rows(settings, "silver.inventory_updates").sort("event_id")
    assert silver.select("event_id", "update_id", "quantity", "supplier_id", "_extra").rows() == [
        ("e1", "u,1", 5, "S1", '{"007":"x"}'),
        ("e2", "u2", 1, None, None),
    ]
    assert str(silver["unit_cost"][0]) == "1.2346"
    reasons = rows(settings, "silver.quarantine").sort("offset")["reasons"].to_list()
    assert reasons == [["type:quantity"]]


def test_csv_lists_and_items_are_json_text(settings: Settings) -> None:
    head = "event_id,event_type,event_time,customer_id,name,email,signup_date,city,country,loyalty_tier,"
    head += "preferred_genres,marketing_opt_in\n"
    row = 'e1,upsert,2026-03-01T10:00:00Z,C1,Ann,a@b.c,2020-01-01,Bonn,DE,gold,"[""Action"", ""Drama""]",true\n'
    drop(settings, "a.csv", (head + row).encode(), topic="customer-profiles")
    run_once(settings)
    silver = rows(settings, "silver.customer_profiles")
    assert silver.select("preferred_genres", "marketing_opt_in").rows() == [(["Action", "Drama"], True)]


def test_parquet_rows_keep_their_types(settings: Settings, tmp_path: Path) -> None:
    frame = pl.DataFrame([movement(3, event_time=NOW - timedelta(hours=2), quality_status=None)]).with_columns(
        pl.col("unit_cost").cast(pl.Decimal(18, 4))
    )
    frame.write_parquet(tmp_path / "x.parquet")
    drop(settings, "a.parquet", (tmp_path / "x.parquet").read_bytes())
    run_once(settings)
    silver = rows(settings, "silver.inventory_updates")
    assert silver.select("event_time", "quantity", "quality_status").rows() == [(NOW - timedelta(hours=2), 4, None)]


def test_parquet_values_that_python_cannot_hold_are_bad_records_and_stop_nothing(settings: Settings) -> None:
    def table(event_id: str, event_time: pa.Array, **columns: pa.Array) -> pa.Table:
        event = movement(3, event_id=event_id, event_time=..., **dict.fromkeys(columns, ...))
        return pa.table({**{name: [value] for name, value in event.items()}, "event_time": event_time, **columns})

    micros = int(NOW.timestamp()) * 1_000_000
    tables = [
        table("nanoseconds", pa.array([micros * 1000 + 999], pa.timestamp("ns", "UTC"))),
        table("nowhere", pa.array([micros], pa.timestamp("us", "Nowhere/Town"))),
        table("year 140000", pa.array([2**62], pa.timestamp("us", "UTC"))),
        table(
            "a day too far", pa.array([micros], pa.timestamp("us", "UTC")), shipment_date=pa.array([2**30], pa.date32())
        ),
        table("no text", pa.array([micros], pa.timestamp("us", "UTC"))).set_column(
            0, "event_id", pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
        ),
        table("twice", pa.array([micros], pa.timestamp("us", "UTC"))).append_column("quantity", pa.array([1])),
    ]
    for number, found in enumerate(tables):
        out = io.BytesIO()
        pq.write_table(found, out)
        drop(settings, f"{number}.parquet", out.getvalue(), age=100 - number)
    run_once(settings)
    silver = rows(settings, "silver.inventory_updates").sort("event_id")
    assert silver.select("event_id", "event_time").rows() == [("nanoseconds", NOW), ("nowhere", NOW)]
    reasons = rows(settings, "silver.quarantine").sort("offset")["reasons"].to_list()
    assert reasons == [["type:event_time"], ["type:shipment_date"], ["invalid_json"], ["duplicate_field"]]


def test_an_empty_file_is_done_and_holds_nothing(settings: Settings) -> None:
    drop(settings, "a.ndjson", b"\n")
    run_once(settings)
    drop(settings, "b.ndjson", lines(movement(0)))
    run_once(settings)
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert rows(settings, "ops.landing_files").sort("file")["rows"].to_list() == [0, 1]


def test_a_large_file_is_several_batches_and_one_commit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.bronze.landing_records._CHUNK_ROWS", 10)
    drop(settings, "a.ndjson", lines(*(movement(number) for number in range(35))))
    run_once(settings)
    assert rows(settings, "bronze.inventory_updates")["batch_id"].unique().sort().to_list() == [1, 2, 3, 4]
    assert len(rows(settings, "silver.inventory_updates")) == 35
    assert rows(settings, "ops.batches")["polled"].sum() == 35


def test_a_file_ingested_but_not_moved_before_a_crash_is_only_moved(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(self: LandingMoves, file: LandingFile) -> None:
        raise KeyboardInterrupt

    path = drop(settings, "a.ndjson", lines(movement(0)))
    with monkeypatch.context() as patched:
        patched.setattr(LandingMoves, "done", crash)
        with pytest.raises(KeyboardInterrupt):
            run_once(settings)
    assert path.exists()
    run_once(settings)
    assert not path.exists()
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e0"]
