"""What the warehouse's file was made from: models, seeds and folder. A file with another fingerprint is discarded."""

import hashlib
from pathlib import Path

import duckdb

from warehouse.registry import HERE, registry
from warehouse.storage.closed_days import ClosedDays, is_split
from warehouse.storage.connection import quoted

SEEDS = HERE / "seeds"
_SEED_COLUMNS = {
    "stores": ("store_id", "name", "city", "country", "opened_on"),
    "theaters": ("theater_id", "name", "city", "seats"),
    "suppliers": ("supplier_id", "name", "country", "lead_time_days"),
    "warehouses": ("warehouse_id", "name", "city", "country"),
}


def last_refresh(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last refresh; 0 if there is none."""
    tables = "select 1 from duckdb_tables() where schema_name = 'gold' and table_name = 'refreshes'"
    if not connection.execute(tables).fetchall():
        return 0
    return int(connection.execute("select coalesce(max(refresh_id), 0) from gold.refreshes").fetchall()[0][0])


def load_seeds(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Reads the seeds into temporary tables, all columns as text. A file that does not exist gives an empty table."""
    for name, columns in _SEED_COLUMNS.items():
        texts = ", ".join(f"{column} varchar" for column in columns)
        connection.execute(f"create or replace temp table seeds_{name} ({texts})")
        file = folder / f"{name}.csv"
        if file.exists():
            connection.execute(
                f"insert into temp.seeds_{name} by name"
                f" select {', '.join(columns)} from read_csv('{quoted(file)}', all_varchar = true, header = true)"
            )


def digest(seeds: Path) -> str:
    """A hash of all models and seeds."""
    sha = hashlib.sha256()
    for model in registry():
        sha.update(f"{model.full_name}\n{sorted(model.header.items())}\n{model.sql}\n".encode())
    for name in _SEED_COLUMNS:
        file = seeds / f"{name}.csv"
        sha.update(file.read_bytes() if file.exists() else b"-")
    return sha.hexdigest()


def store(connection: duckdb.DuckDBPyConnection, seeds: Path, gold_dir: Path) -> None:
    """Stores the fingerprint and the folder in the file."""
    connection.execute("create or replace table work.made_by (models varchar, gold_dir varchar)")
    connection.execute("insert into work.made_by values ($1, $2)", [digest(seeds), str(gold_dir)])


def matches(connection: duckdb.DuckDBPyConnection, seeds: Path) -> bool:
    """Whether the file was made from these models and seeds."""
    return connection.execute("select models from work.made_by").fetchall() == [(digest(seeds),)]


def follow_move(connection: duckdb.DuckDBPyConnection, closed: ClosedDays, gold_dir: Path) -> bool:
    """Recreates the views if the home was moved, because their paths are absolute. Returns whether it was."""
    if connection.execute("select gold_dir from work.made_by").fetchall() == [(str(gold_dir),)]:
        return False
    for model in registry():
        if is_split(model):
            closed.refresh_view(model)
    connection.execute("update work.made_by set gold_dir = $1", [str(gold_dir)])
    return True
