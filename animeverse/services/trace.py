"""Follow an event into gold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from animeverse.services.query import Session, sql_literal
from pipelines.config.settings import Settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.operations.trace import Trace, TracedRecord
from pipelines.parsing.json_text import read as read_json
from warehouse.registry import dimension_of, fact_of


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A row of a gold table: its full table name, and its values by column."""

    table: str
    values: Mapping[str, Any]


def gold_rows(settings: Settings, trace: Trace) -> list[GoldRow]:
    """Return the rows of the published gold that come from the event's accepted records.

    A change of master data has no row of its own; its row is the version that is valid at its event_time.
    """
    accepted = [record for record in trace.records if record.verdict == "accepted"]
    if not accepted or not settings.published_path.exists():
        return []
    rows: list[GoldRow] = []
    with Session(settings) as session:
        for record in accepted:
            if model := fact_of(record.topic):
                where = f"event_id = {sql_literal(trace.event_id)}"
            elif model := dimension_of(record.topic):
                where = _version(record)
            else:
                continue  # no model of gold reads the topic
            result = session.run(f"select * from {model.full_name} where {where} order by all")
            rows += [GoldRow(model.full_name, dict(zip(result.names, row, strict=True))) for row in result.rows]
    return rows


def _version(record: TracedRecord) -> str:
    """Return the SQL condition that selects the version valid at the record's event_time."""
    key = CONTRACTS[record.topic].key_field
    member = dict(read_json(record.value or b""))[key]
    assert record.event_time is not None
    at = f"timestamptz '{record.event_time.isoformat()}'"
    # A delete closes the version before it.
    return (
        f"{key} = {sql_literal(member)} and version > 0 and (valid_to = {at} and is_deleted or "
        f"valid_from <= {at} and (valid_to is null or valid_to > {at}))"
    )
