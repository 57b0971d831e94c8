"""How contracts and the state of the lakehouse look in a terminal."""

from typing import Any

from rich.markup import escape

from animeverse.terminal import console
from pipelines.contracts.documentation import rows
from pipelines.contracts.registry import Contract

_SHOWN = 10  # rejected files


def print_contract(contract: Contract, currency: str) -> None:
    """The fields of a topic's events as a table on stdout."""
    console.put(
        console.table(
            ("field", "read as", "needed", "allowed", "meaning"),
            [(row.path, row.read_as, row.needed, row.allowed, row.description) for row in rows(contract, currency)],
            title=f"{contract.topic} (key {contract.key_field})",
        )
    )
    console.put()


def print_status(found: dict[str, Any]) -> None:
    """What `pipelines.operations.status` and `gold_status` found, as tables on stdout."""
    console.put(f"home  {escape(found['home'])}")
    console.put(f"log   {escape(found['log']['url'])}" + _fault(found["log"]["error"]))
    console.put()
    topics = [
        (
            topic,
            console.count(of["bronze_rows"]),
            "?" if of["lag"] is None else console.count(of["lag"]),
            of["watermark"] or "-",
            ", ".join(str(share["partition"]) for share in of["partitions"] if share["is_idle"]) or "-",
        )
        for topic, of in found["topics"].items()
    ]
    console.put(console.table(("topic", "records", "lag", "watermark", "idle partitions"), topics, right=[1, 2]))
    console.put()
    tables = [
        (
            name,
            console.count(of["rows"]),
            console.count(of["files"]),
            console.size(of["bytes"]),
            console.count(of["snapshots"]),
            (of["committed_at"] or "-").replace("+00:00", "Z"),
        )
        for name, of in found["tables"].items()
    ]
    heads = ("table", "rows", "files", "size", "snapshots", "committed at")
    console.put(console.table(heads, tables, right=range(1, 5)))
    console.put()
    _print_landing(found["landing"])
    gold = found["gold"]
    if gold is None:
        console.put("gold  nothing is published yet: try `animeverse run`")
        return
    console.put(f"gold  {escape(gold['path'])}, {console.size(gold['bytes'])}, refreshed at {gold['refreshed_at']}")
    if gold["seconds_from_log"] is not None:
        console.put(f"      the last batch took {console.seconds(gold['seconds_from_log'])} from the log to gold")
    rows = [(f"gold.{name}", console.count(count)) for name, count in gold["tables"].items()]
    console.put(console.table(("table", "rows"), rows, right=[1]))


def _print_landing(found: dict[str, Any]) -> None:
    """What in the landing folder is not read; nothing where all is."""
    for path, detail in found["problems"].items():
        console.put(f"[yellow]{escape(path)}[/yellow] {escape(detail)}")
    for path in found["rejected"][:_SHOWN]:
        console.put(f"[yellow]{escape(path)}[/yellow] was rejected, see {escape(path)}.reason")
    if len(found["rejected"]) > _SHOWN:
        console.put(f"and {len(found['rejected']) - _SHOWN:,} more in landing/_rejected")
    if found["problems"] or found["rejected"]:
        console.put()


def _fault(message: str | None) -> str:
    return f"  [red]{escape(message)}[/red]" if message else ""
