"""The data dictionary: `python -m warehouse.data_dictionary > docs/data_model.md`.

It describes every table that a user can query. Names, grain, meanings and sources come from the contracts, the headers
of the models and `table_meanings`; types come from Iceberg schemas and from an empty warehouse built for the purpose.
"""

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import lines_schema, lines_table, silver_schema
from pipelines.silver.changes import PARTITIONS, SilverChanges
from warehouse.rebuild import rebuild
from warehouse.registry import Model, registry, staging_of
from warehouse.table_meanings import (
    BRONZE_TABLES,
    LINEAGE,
    OPERATIONS_TABLES,
    PUBLISHED_TABLES,
    SILVER_TABLES,
    TableMeaning,
)

_INTRO = """# Data model

Every table that can be queried, with its columns. `make docs` generates this page from the contracts and the models; a
test keeps it up to date.
"""
_GENERATED_INPUT = "silver.partitions"  # the watermarks that a refresh gets; not a table


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the page. `facts` are lines like `grain: event_id`, `columns` name, type and meaning."""

    name: str
    title: str
    facts: dict[str, str]
    columns: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    note: str
    tables: Sequence[_Table]


def text() -> str:
    """The whole dictionary as Markdown."""
    with _empty_warehouse() as connection:
        sections = [
            _Section(
                "Bronze (Iceberg)",
                "One table per topic, `bronze.<topic>`, all with the same columns.",
                [_described("bronze.*", BRONZE_TABLES)],
            ),
            _Section("Silver (Iceberg)", "", _silver()),
            _Section("Gold (DuckDB)", "", _published(connection, "gold")),
            _Section("Marts (DuckDB)", "", _published(connection, "marts")),
            _Section(
                "Operations (Iceberg and DuckDB)",
                "Query both kinds by the same schema name.",
                sorted([*_published(connection, "ops"), *_operations()], key=lambda table: table.name),
            ),
        ]
        lines = [_INTRO, *_contents(sections), *_star(connection)]
    for section in sections:
        lines.append(f"## {section.title}\n")
        if section.note:
            lines.append(f"{section.note}\n")
        for table in section.tables:
            lines += _markdown(table)
    return "\n".join(lines).rstrip() + "\n"


@contextmanager
def _empty_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """All models without rows, for their columns and types."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.duckdb"
        rebuild(SilverChanges({}, {}, PARTITIONS.empty_table()), file, datetime(2026, 1, 1, tzinfo=UTC))
        with duckdb.connect(str(file), read_only=True) as connection:
            yield connection


def _contents(sections: Sequence[_Section]) -> Iterator[str]:
    yield "## Contents\n"
    yield "- [The star](#the-star): the keys of each fact"
    for section in sections:
        tables = ", ".join(f"[{table.name}](#{_anchor(table.name)})" for table in section.tables)
        yield f"- [{section.title}](#{_anchor(section.title)}): {tables}"
    yield ""


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _star(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """One diagram per fact with its keys and their dimensions. The key of a dimension is its first `_key` column."""
    found = connection.execute(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'gold' and ends_with(column_name, '_key') order by table_name, ordinal_position"
    ).fetchall()
    keys: dict[str, list[str]] = {}
    for table, column in found:
        keys.setdefault(str(table), []).append(str(column))
    owners = {own[0]: name for name, own in keys.items() if name.startswith("dim_")}
    models = {model.name: model for model in registry()}
    yield "## The star\n"
    yield "One diagram per fact. A line is a key: a row of the fact has exactly one row of the dimension.\n"
    for fact in (name for name in keys if name.startswith("fct_")):
        versions = {member.key for member in models[fact].members}
        yield f"### Keys of {fact}\n\nGrain: {models[fact].header['grain']}.\n\n```mermaid\nerDiagram"
        for key in keys[fact]:
            owner = next(name for own, name in owners.items() if key == own or key.endswith(f"_{own}"))
            label = f'"{key}, version at event_time"' if key in versions else key
            yield f"    {owner} ||--o{{ {fact} : {label}"
        yield "```\n"


def _silver() -> list[_Table]:
    tables = []
    for contract in CONTRACTS.values():
        meanings = {**{field.name: field.description for field in contract.fields}, **LINEAGE}
        title = (contract.schema.__doc__ or "").strip()
        schema = silver_schema(contract.topic)
        meaning = TableMeaning(title, "event_id", {name: meanings[name] for name in schema.names}, schema)
        tables.append(_described(f"silver.{contract.table}", meaning, topic=contract.topic))
    for topic, contract in CONTRACTS.items():
        if (name := lines_table(topic)) is None or contract.line_field is None:
            continue
        lines = {line.name: line.description for line in contract.line_field.lines}
        meanings = {"event_id": "the event of the line", "event_time": "when it happened", **lines, **LINEAGE}
        title = f"A line of `{contract.line_field.name}` of an event of {topic}"
        tables.append(_described(name, TableMeaning(title, "event_id, line_number", meanings, lines_schema(topic))))
    return tables + [_described(name, meaning) for name, meaning in SILVER_TABLES.items()]


def _operations() -> list[_Table]:
    return [_described(name, meaning) for name, meaning in OPERATIONS_TABLES.items()]


def _described(name: str, meaning: TableMeaning, **facts: str) -> _Table:
    """An Iceberg table. Raises KeyError if a column has no meaning."""
    assert meaning.schema is not None
    columns = [(field.name, _shown(field.type), meaning.columns[field.name]) for field in meaning.schema]
    return _Table(name, meaning.title, {"grain": meaning.grain, **facts}, columns)


def _shown(kind: object) -> str:
    return str(kind).replace("timestamp[us, tz=UTC]", "timestamptz").replace("date32[day]", "date")


def _published(connection: duckdb.DuckDBPyConnection, schema: str) -> list[_Table]:
    """The tables of a schema in the published file: those of models and those that a refresh keeps."""
    found = [
        _model(connection, model)
        for model in registry()
        if model.schema == schema and model.kind not in ("scope", "staging")
    ]
    for name, meaning in PUBLISHED_TABLES.items():
        if name.startswith(f"{schema}."):
            columns = [(column, kind, meaning.columns[column]) for column, kind in _types(connection, name)]
            found.append(_Table(name, meaning.title, {"grain": meaning.grain}, columns))
    return sorted(found, key=lambda table: table.name)


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    return [(name, kind.lower()) for name, kind, *_ in connection.execute(f"describe {table}").fetchall()]


def _model(connection: duckdb.DuckDBPyConnection, model: Model) -> _Table:
    reads = ", ".join(f"`{name}`" for name in _sources(model))
    facts = {"grain": model.header.get("grain", ""), "reads": reads}
    if model.kind == "macro":
        call = model.header.get("call", "")
        facts["kind"] = f"macro: `{call}`" if call else "macro"
        columns = [(name, "", meaning) for name, meaning in model.columns.items()]
    else:
        columns = [(name, kind, model.describe(name) or "") for name, kind in _types(connection, model.full_name)]
    return _Table(model.full_name, model.title.split(". ")[0], facts, columns)


def _sources(model: Model) -> list[str]:
    """The tables that a model reads and a user can query: silver tables in place of the staging model of a fact."""
    models = {other.full_name: other for other in registry()}
    found: dict[str, None] = {}
    for name in model.reads:
        schema, _, table = name.partition(".")
        if schema == "staging":
            found |= dict.fromkeys(staging_of(models[f"gold.{table}"]).reads)
        elif schema == "work":
            found |= dict.fromkeys(full for full in (f"gold.{table}", f"marts.{table}") if full in models)
        elif schema in ("gold", "marts", "ops", "silver") and name != _GENERATED_INPUT:
            found[name] = None
    return list(found)


def _markdown(table: _Table) -> Iterator[str]:
    title = table.title[:1].upper() + table.title[1:]
    yield f"### {table.name}\n\n{title}{'' if title.endswith('.') else '.'}\n"
    yield from (f"- {fact}: {value}" for fact, value in table.facts.items() if value)
    yield "\n| column | type | meaning |\n| --- | --- | --- |"
    for column, kind, meaning in table.columns:
        yield f"| `{column}` | {kind} | {meaning.replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(text())
