"""Follows an event into gold."""

from typing import Any

from animeverse.services.query import Session, quoted
from pipelines.config.settings import Settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.operations.trace import Trace, TracedRecord
from pipelines.parsing.json_text import read as read_json
from warehouse.registry import dimension_of, fact_of

GoldRow = tuple[str, dict[str, Any]]  # table, and the row by column


def gold_rows(settings: Settings, found: Trace) -> list[GoldRow]:
    """Rows of the published gold that the event's accepted records became.

    A change of master data becomes no row of its own: shown is the version that holds at its event_time.
    """
    accepted = [record for record in found.records if record.verdict == "accepted"]
    if not accepted or not settings.published_path.exists():
        return []
    rows: list[GoldRow] = []
    with Session(settings) as session:
        for record in accepted:
            if model := fact_of(record.topic):
                where = f"event_id = {quoted(found.event_id)}"
            elif model := dimension_of(record.topic):
                where = _version(record)
            else:
                continue  # no model of gold reads the topic
            result = session.run(f"select * from {model.full_name} where {where} order by all")
            rows += [(model.full_name, dict(zip(result.names, row, strict=True))) for row in result.rows]
    return rows


def _version(record: TracedRecord) -> str:
    key = CONTRACTS[record.topic].key_field
    member = dict(read_json(record.value or b""))[key]
    assert record.event_time is not None
    at = f"timestamptz '{record.event_time.isoformat()}'"
    # A delete closes the version before it.
    return (
        f"{key} = {quoted(member)} and version > 0 and (valid_to = {at} and is_deleted or "
        f"valid_from <= {at} and (valid_to is null or valid_to > {at}))"
    )
