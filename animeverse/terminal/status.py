"""Prints the state of the lakehouse."""

from animeverse.services.status import GoldStatus
from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.clock import instant
from pipelines.operations.status import LakehouseStatus

_SHOWN = 10  # rejected files


def print_status(layers: LakehouseStatus, gold: GoldStatus | None) -> None:
    """Print what `pipelines.operations.status` and `gold_status` return, as tables on stdout."""
    error = f"  [red]{escape(layers.log_error)}[/red]" if layers.log_error else ""
    console.put(f"home  {escape(layers.home)}")
    console.put(f"log   {escape(layers.log_url)}{error}")
    console.put()
    topics = [
        (
            topic,
            console.count(state.bronze_rows),
            "?" if state.lag is None else console.count(state.lag),
            "-" if state.watermark is None else instant(state.watermark),
            ", ".join(str(partition.partition) for partition in state.partitions if partition.is_idle) or "-",
        )
        for topic, state in layers.topics.items()
    ]
    console.put(console.table(("topic", "records", "lag", "watermark", "idle partitions"), topics, right=[1, 2]))
    console.put()
    tables = [
        (
            name,
            console.count(table.rows),
            console.count(table.files),
            console.size(table.bytes),
            console.count(table.snapshots),
            "-" if table.committed_at is None else table.committed_at.isoformat().replace("+00:00", "Z"),
        )
        for name, table in layers.tables.items()
    ]
    heads = ("table", "rows", "files", "size", "snapshots", "committed at")
    console.put(console.table(heads, tables, right=range(1, 5)))
    console.put()
    _print_landing(layers)
    _print_gold(gold)


def _print_gold(gold: GoldStatus | None) -> None:
    if gold is None:
        console.put("gold  nothing is published yet: try `animeverse run`")
        return
    console.put(f"gold  {escape(gold.path)}, {console.size(gold.bytes)}, refreshed at {gold.refreshed_at}")
    if gold.seconds_from_log is not None:
        console.put(f"      the last batch took {console.seconds(gold.seconds_from_log)} from the log to gold")
    rows = [(f"gold.{name}", console.count(count)) for name, count in gold.tables.items()]
    console.put(console.table(("table", "rows"), rows, right=[1]))


def _print_landing(layers: LakehouseStatus) -> None:
    """Print which files in the landing folder are not read; nothing if all are."""
    for path, detail in layers.landing_problems.items():
        console.put(f"[yellow]{escape(path)}[/yellow] {escape(detail)}")
    for path in layers.landing_rejected[:_SHOWN]:
        console.put(f"[yellow]{escape(path)}[/yellow] was rejected, see {escape(path)}.reason")
    if len(layers.landing_rejected) > _SHOWN:
        console.put(f"and {len(layers.landing_rejected) - _SHOWN:,} more in landing/_rejected")
    if layers.landing_problems or layers.landing_rejected:
        console.put()
