"""The state of gold, for `animeverse status`."""

from typing import Any

from pipelines.clock import instant
from pipelines.config.settings import Settings


def gold_status(settings: Settings) -> dict[str, Any] | None:
    """What is published: rows by table, when it was refreshed, how long the last batch took from the log to gold."""
    from animeverse.services.query import Session

    path = settings.published_path
    if not path.exists():
        return None
    with Session(settings) as session:
        refreshed = [at for (at,) in session.run("select max(refreshed_at) from gold.refreshes").rows]
        took = list(session.run("select max_by(epoch(gold_at) - epoch(started_at), gold_at) from ops.batches").rows)
        tables = [name for schema, name in session.tables() if schema == "gold"]
        counts = " union all ".join(f"""select '{name}', count(*) from gold."{name}\"""" for name in tables)
        return {
            "path": str(path),
            "bytes": path.stat().st_size,
            "refreshed_at": instant(refreshed[0]) if refreshed[0] else None,
            "seconds_from_log": took[0][0],
            "tables": {str(name): int(rows) for name, rows in sorted(session.run(counts).rows)},
        }
