"""Prints the state of the lakehouse."""

from typing import Any

from rich.markup import escape

from animeverse.services.status import GoldStatus
from animeverse.terminal import console


def print_status(layers: dict[str, Any], gold: GoldStatus | None) -> None:
    """Print what `pipelines.operations.status` and `gold_status` return, as tables on stdout."""
    log = layers["log"]
    console.put(f"home  {escape(layers['home'])}")
    console.put(f"log   {escape(log['url'])}" + (f"  [red]{escape(log['error'])}[/red]" if log["error"] else ""))
    console.put()
    topics = [
        (
            topic,
            console.count(state["bronze_rows"]),
            "?" if state["lag"] is None else console.count(state["lag"]),
            state["watermark"] or "-",
            ", ".join(str(partition["partition"]) for partition in state["partitions"] if partition["is_idle"]) or "-",
        )
        for topic, state in layers["topics"].items()
    ]
    console.put(console.table(("topic", "records", "lag", "watermark", "idle partitions"), topics, right=[1, 2]))
    console.put()
    tables = [
        (
            name,
            console.count(table["rows"]),
            console.count(table["files"]),
            console.size(table["bytes"]),
            console.count(table["snapshots"]),
            (table["committed_at"] or "-").replace("+00:00", "Z"),
        )
        for name, table in layers["tables"].items()
    ]
    heads = ("table", "rows", "files", "size", "snapshots", "committed at")
    console.put(console.table(heads, tables, right=range(1, 5)))
    console.put()
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
