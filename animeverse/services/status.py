"""The state of the published gold."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.clock import instant
from pipelines.config.settings import Settings


@dataclass(frozen=True, slots=True)
class GoldStatus:
    """The published file: path, size, time of the last refresh (ISO 8601, UTC) and rows by table.

    `seconds_from_log` is the time that the last batch took from the log to gold; None when no batch has arrived.
    """

    path: str
    bytes: int
    refreshed_at: str | None
    seconds_from_log: float | None
    tables: Mapping[str, int]


def gold_status(settings: Settings) -> GoldStatus | None:
    """Return the state of the published gold, or None when nothing is published."""
    from animeverse.services.query import Session

    path = settings.published_path
    if not path.exists():
        return None
    with Session(settings) as session:
        ((refreshed_at,),) = session.run("select max(refreshed_at) from gold.refreshes").rows
        ((seconds,),) = session.run("select max_by(epoch(gold_at) - epoch(started_at), gold_at) from ops.batches").rows
        tables = [name for schema, name in session.tables() if schema == "gold"]
        counts = " union all ".join(f"""select '{name}', count(*) from gold."{name}\"""" for name in tables)
        return GoldStatus(
            path=str(path),
            bytes=path.stat().st_size,
            refreshed_at=instant(refreshed_at) if refreshed_at else None,
            seconds_from_log=seconds,
            tables={str(name): int(rows) for name, rows in sorted(session.run(counts).rows)},
        )
