"""The data dictionary, built from the models themselves: `python -m warehouse.dictionary > docs/data_model.md`.

Names, grain, meaning and what a model reads come from its header, types from an empty warehouse built for it.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.changes import PARTITIONS, SilverChanges
from pipelines.contracts import CONTRACTS
from pipelines.schemas import BRONZE, POS_ITEMS, QUARANTINE, silver_schema
from warehouse.build import rebuild
from warehouse.models import Model, registry

_INTRO = """# Data model

Built from the contracts and the models themselves by `make docs`; a test holds it up to date.

```mermaid
erDiagram
    dim_customer ||--o{ fct_sales : customer_key
    dim_product ||--o{ fct_sales : product_key
    dim_store ||--o{ fct_sales : store_key
    dim_channel ||--o{ fct_sales : channel_key
    dim_payment_method ||--o{ fct_sales : payment_method_key
    dim_date ||--o{ fct_sales : date_key
    dim_customer ||--o{ fct_cinema_attendance : customer_key
    dim_anime_title ||--o{ fct_cinema_attendance : title_key
    dim_theater ||--o{ fct_cinema_attendance : theater_key
    dim_ticket_type ||--o{ fct_cinema_attendance : ticket_type_key
    dim_date ||--o{ fct_cinema_attendance : date_key
    dim_product ||--o{ fct_inventory_movement : product_key
    dim_warehouse ||--o{ fct_inventory_movement : warehouse_key
    dim_supplier ||--o{ fct_inventory_movement : supplier_key
    dim_product ||--o{ fct_inventory_daily : product_key
    dim_warehouse ||--o{ fct_inventory_daily : warehouse_key
    dim_customer ||--o{ fct_review : customer_key
    dim_product ||--o{ fct_review : product_key
    dim_anime_title ||--o{ fct_review : title_key
    dim_customer ||--o{ fct_customer_engagement : customer_key
    dim_date ||--o{ fct_customer_engagement : date_key
```
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
    return "\n".join([_INTRO, *_lake(), *_warehouse()]).rstrip() + "\n"


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


def _warehouse() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.duckdb"
        rebuild(SilverChanges({}, {}, PARTITIONS.empty_table()), file, datetime(2026, 1, 1, tzinfo=UTC))
        with duckdb.connect(str(file), read_only=True) as connection:
            for schema, title in (
                ("gold", "Gold (DuckDB)"),
                ("marts", "Marts (DuckDB)"),
                ("ops", "Operations (DuckDB)"),
            ):
                yield f"## {title}\n"
                for model in sorted(registry(), key=lambda model: model.name):
                    if model.schema == schema and model.kind not in ("scope", "lines"):
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
