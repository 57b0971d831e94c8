"""Ingest of landing files into bronze: each content once and completely, with a message for every exception (R28)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.bronze.landing_files import UnreadableFileError
from pipelines.bronze.landing_folder import Landing, identity
from pipelines.bronze.writer import BronzeWriter
from pipelines.clock import Clock
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import LANDING_FILES
from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable


class LandingIngestor:
    """Ingests settled files through the writers of bronze. Use it from the thread that writes bronze."""

    def __init__(self, lake: Lake, root: Path, writers: Sequence[BronzeWriter], report: Callable[[str], None]) -> None:
        self._landing = Landing(root)
        self._writers = {writer.topic: writer for writer in writers}
        self._report = report
        self._table = lake.ensure("ops.landing_files", LANDING_FILES)
        rows = self._table.read(columns=["topic", "sha256", "file"]).to_pylist()
        self._known: dict[tuple[str, str], str] = {(row["topic"], row["sha256"]): row["file"] for row in rows}
        for writer in writers:
            for entry in writer.position.landed:
                self._known[writer.topic, entry["sha256"]] = entry["file"]
        self.settling = False
        self._warned: set[str] = set()

    @property
    def table(self) -> LakeTable:
        """The table of ingested files."""
        return self._table

    def ingest(self, clock: Clock) -> dict[str, int]:
        """Ingest settled files; move unreadable ones away and report them. Returns the number of records by topic."""
        files, self.settling = self._landing.settled(list(self._writers))
        for name in self._landing.strays():
            if name not in self._warned:
                self._warned.add(name)
                self._report(f"landing/{name} is not read: files go into landing/<topic>/, one of {', '.join(TOPICS)}")
        ingested: dict[str, int] = {}
        for topic, path in files:
            sha256 = identity(path)
            earlier = self._known.get((topic, sha256))
            if earlier is not None:
                self._landing.done(topic, path)
                if earlier != path.name:
                    self._report(
                        f"landing/{topic}/{path.name} has the same content as {earlier}, which is ingested: skipped"
                    )
                continue
            try:
                rows = self._writers[topic].ingest_file(path, sha256, clock)
            except UnreadableFileError as error:
                moved = self._landing.rejected(topic, path, str(error))
                self._report(f"landing/{topic}/{path.name} cannot be read: {error}. It has been moved to {moved}")
                continue
            self._known[topic, sha256] = path.name
            self._landing.done(topic, path)
            ingested[topic] = ingested.get(topic, 0) + rows
        self.flush()
        return ingested

    def flush(self) -> None:
        """Write entries that only bronze's checkpoints hold to `ops.landing_files`. Idempotent."""
        stored = set(zip(*(self._table.read(columns=[c])[c].to_pylist() for c in ("topic", "sha256")), strict=True))
        waiting = [(topic, entry) for topic, writer in self._writers.items() for entry in writer.position.landed]
        fresh = [_row(topic, entry) for topic, entry in waiting if (topic, entry["sha256"]) not in stored]
        if fresh:
            self._table.append(pa.Table.from_pylist(fresh, schema=LANDING_FILES), {})
        for topic, writer in self._writers.items():
            writer.forget_landed({entry["sha256"] for at, entry in waiting if at == topic})


def _row(topic: str, entry: Any) -> dict[str, Any]:
    return {
        "topic": topic,
        # The name may not be valid UTF-8. The header `file` in bronze has its bytes.
        "file": entry["file"].encode(errors="surrogateescape").decode(errors="replace"),
        "sha256": entry["sha256"],
        "rows": entry["rows"],
        "batch_from": entry["batch_from"],
        "batch_to": entry["batch_to"],
        "ingested_at": datetime.fromisoformat(entry["ingested_at"]),
    }
