"""Reasons of quarantined landing records that name the file and line and, for CSV, speak of CSV. Source: R28."""

import polars as pl

from pipelines.bronze.landing_records import LANDING_PARTITION

_CSV = (
    ("expected JSON: not UTF-8: byte", "expected UTF-8 text: byte"),
    ("expected a list", "expected a list as JSON text"),
    ("expected JSON: ", "expected a CSV row: "),
)


def with_file_and_line(rows: pl.DataFrame) -> pl.DataFrame:
    """Quarantine rows with `<file> line <line>: ` before the `detail` of those of landing files."""
    if not (rows["partition"] == LANDING_PARTITION).any():
        return rows
    details = [
        _detail(detail, headers) if partition == LANDING_PARTITION and detail is not None else detail
        for partition, headers, detail in rows.select("partition", "headers", "detail").iter_rows()
    ]
    return rows.with_columns(pl.Series("detail", details, dtype=pl.String))


def _detail(detail: str, headers: list[dict[str, object]] | None) -> str:
    found = {header["key"]: header["value"] for header in headers or ()}
    file, line = (
        bytes(value).decode(errors="replace") if isinstance(value := found.get(key), bytes) else ""
        for key in ("file", "line")
    )
    if not file:
        return detail
    if file.lower().removesuffix(".gz").endswith(".csv"):
        for json, csv in _CSV:
            detail = detail.replace(json, csv)
    return f"{file} line {line}: {detail}"
