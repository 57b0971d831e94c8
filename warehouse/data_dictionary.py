"""The data dictionary, built from the models themselves: `python -m warehouse.data_dictionary > docs/data_model.md`.

Names, grain, meaning and what a model reads come from its header, types from an empty warehouse built for it.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import BRONZE, POS_ITEMS, QUARANTINE, silver_schema
from pipelines.silver.changes import PARTITIONS, SilverChanges
from warehouse.registry import Model, registry
from warehouse.writer import rebuild

_INTRO = """# Data model

Built from the contracts and the models themselves by `make docs`; a test holds it up to date.
"""
_LINEAGE = {
    "_partition": "topic partition of the record; -1 for files",
    "_offset": "its offset",
    "_arrival": "`on_time` or `late`",
    "_lateness_seconds": "how far behind the newest event of its partition it was; 0 when it was not",
    "_recorded_at": "the record's timestamp: when it arrived in the log",
    "_ingested_at": "when bronze took it, by our clock",
    "_extra": "fields that the contract does not know, as JSON text",
}
_BRONZE = {
    "partition": "topic partition; -1 for landing files",
    "offset": "position in it",
    "timestamp": "the record's timestamp; null when the log has none",
    "key": "the record's key, as it came",
    "headers": "its headers",
    "value": "its value, byte for byte; null and empty stay different",
    "ingested_at": "when it was taken, by our clock",
    "batch_id": "the micro-batch that took it; grows by topic",
}
_QUARANTINE = {
    "topic": "where it came from",
    "event_id": "where it could be read",
    "reasons": "names of all rules that failed in the stage that stopped it, sorted",
    "detail": "what was expected and what was found, for a person",
    "quarantined_at": "when, by our clock",
}


def text() -> str:
    """The whole dictionary as Markdown."""
    with _empty_warehouse() as connection:
        return "\n".join([_INTRO, *_star(connection), *_lake(), *_warehouse(connection)]).rstrip() + "\n"


@contextmanager
def _empty_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """All models over no rows at all, for their columns and types."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.duckdb"
        rebuild(SilverChanges({}, {}, PARTITIONS.empty_table()), file, datetime(2026, 1, 1, tzinfo=UTC))
        with duckdb.connect(str(file), read_only=True) as connection:
            yield connection


def _star(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """One small diagram a fact: its keys and their dimensions. A dimension's own key is its first `_key` column."""
    found = connection.execute(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'gold' and ends_with(column_name, '_key') order by table_name, ordinal_position"
    ).fetchall()
    keys: dict[str, list[str]] = {}
    for table, column in found:
        keys.setdefault(str(table), []).append(str(column))
    owners = {own[0]: name for name, own in keys.items() if name.startswith("dim_")}
    models = {model.name: model for model in registry()}
    yield "## The star\n\nOne diagram a fact. A line is a key; its fact has exactly one row of the dimension for it.\n"
    for fact in (name for name in keys if name.startswith("fct_")):
        versions = {member.key for member in models[fact].members}
        yield f"### Keys of {fact}\n\nGrain: {models[fact].header['grain']}.\n\n```mermaid\nerDiagram"
        for key in keys[fact]:
            owner = next(name for own, name in owners.items() if key == own or key.endswith(f"_{own}"))
            label = f'"{key}, version at event_time"' if key in versions else key
            yield f"    {owner} ||--o{{ {fact} : {label}"
        yield "```\n"


def _table(name: str, title: str, columns: list[tuple[str, str, str]], facts: dict[str, str]) -> Iterator[str]:
    yield f"### {name}\n\n{title[:1].upper() + title[1:]}{'' if title.endswith('.') else '.'}\n"
    yield from (f"- {fact}: {value}" for fact, value in facts.items() if value)
    yield "\n| column | type | meaning |\n| --- | --- | --- |"
    yield from (f"| `{column}` | {kind} | {meaning.replace('|', chr(92) + '|')} |" for column, kind, meaning in columns)
    yield ""


def _lake() -> Iterator[str]:
    yield "## Bronze (Iceberg)\n\nOne table a topic, `bronze.<topic>`, all with the same columns.\n"
    bronze = [(field.name, _shown(field.type), _BRONZE[field.name]) for field in BRONZE]
    yield from _table("bronze.*", "the record as it came", bronze, {"grain": "partition, offset"})
    yield "## Silver (Iceberg)\n"
    for contract in CONTRACTS.values():
        meanings = {field.name: field.description for field in contract.fields} | _LINEAGE
        fields = silver_schema(contract.topic)
        columns = [(field.name, _shown(field.type), meanings[field.name]) for field in fields]
        title = (contract.schema.__doc__ or "").strip()
        yield from _table(f"silver.{contract.table}", title, columns, {"grain": "event_id", "topic": contract.topic})
    lines = {line.name: line.description for line in CONTRACTS["pos-transactions"].field("items").lines}
    meanings = {"event_id": "the transaction's event", "event_time": "when it happened"} | lines | _LINEAGE
    items = [(field.name, _shown(field.type), meanings[field.name]) for field in POS_ITEMS]
    yield from _table("silver.pos_items", "a line of a sale or a return", items, {"grain": "event_id, line_number"})
    held = [(field.name, _shown(field.type), (_BRONZE | _QUARANTINE)[field.name]) for field in QUARANTINE]
    grain = {"grain": "topic, partition, offset"}
    yield from _table("silver.quarantine", "records that could not be accepted, whole", held, grain)


def _shown(kind: object) -> str:
    return str(kind).replace("timestamp[us, tz=UTC]", "timestamptz").replace("date32[day]", "date")


def _warehouse(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for schema, title in (("gold", "Gold (DuckDB)"), ("marts", "Marts (DuckDB)"), ("ops", "Operations (DuckDB)")):
        yield f"## {title}\n"
        for model in sorted(registry(), key=lambda model: model.name):
            if model.schema == schema and model.kind not in ("scope", "staging"):
                yield from _model(connection, model)


def _model(connection: duckdb.DuckDBPyConnection, model: Model) -> Iterator[str]:
    facts = {"grain": model.header.get("grain", ""), "reads": ", ".join(f"`{name}`" for name in model.reads)}
    if model.kind == "macro":
        columns = [(name, "", meaning) for name, meaning in model.columns.items()]
        facts["kind"] = "macro: call it as a function"
    else:
        kinds = connection.execute(f"describe {model.full_name}").fetchall()
        columns = [(name, kind.lower(), model.describe(name) or "") for name, kind, *_ in kinds]
    title = model.title.split(". ")[0]
    yield from _table(model.full_name, title, columns, facts)


if __name__ == "__main__":
    sys.stdout.write(text())
