"""Landing files into bronze: each content once, whole or not at all, and what became of each file said (R28)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.bronze.landing_files import Landing, UnreadableFileError, identity
from pipelines.bronze.writer import BronzeWriter
from pipelines.clock import Clock
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import LANDING_FILES
from pipelines.lake.catalog import Lake, LakeTable


class LandingIngestor:
    """The landing folder beside the writers of bronze. Use it from the thread that writes bronze."""

    def __init__(self, lake: Lake, root: Path, writers: Sequence[BronzeWriter], say: Callable[[str], None]) -> None:
        self._landing = Landing(root)
        self._writers = {writer.topic: writer for writer in writers}
        self._say = say
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
        """The list of files ingested."""
        return self._table

    def ingest(self, clock: Clock) -> dict[str, int]:
        """Ingest what has settled; topic -> records. A file that cannot be read is moved away and the rest goes on."""
        files, self.settling = self._landing.settled(list(self._writers))
        for name in self._landing.strays():
            if name not in self._warned:
                self._warned.add(name)
                self._say(f"landing/{name} is not read: files go into landing/<topic>/, one of {', '.join(TOPICS)}")
        taken: dict[str, int] = {}
        for topic, path in files:
            sha256 = identity(path)
            before = self._known.get((topic, sha256))
            if before is not None:
                self._landing.done(topic, path)
                if before != path.name:
                    self._say(
                        f"landing/{topic}/{path.name} has the same content as {before}, which is ingested: skipped"
                    )
                continue
            try:
                rows = self._writers[topic].ingest_file(path, sha256, clock)
            except UnreadableFileError as error:
                place = self._landing.rejected(topic, path, str(error))
                self._say(f"landing/{topic}/{path.name} cannot be read: {error}. It is in {place}")
                continue
            self._known[topic, sha256] = path.name
            self._landing.done(topic, path)
            taken[topic] = taken.get(topic, 0) + rows
        self.flush()
        return taken

    def flush(self) -> None:
        """Write to `ops.landing_files` what only bronze's snapshots say so far; repeating it adds nothing."""
        held = set(zip(*(self._table.read(columns=[c])[c].to_pylist() for c in ("topic", "sha256")), strict=True))
        waiting = [(topic, entry) for topic, writer in self._writers.items() for entry in writer.position.landed]
        fresh = [_row(topic, entry) for topic, entry in waiting if (topic, entry["sha256"]) not in held]
        if fresh:
            self._table.append(pa.Table.from_pylist(fresh, schema=LANDING_FILES), {})
        for topic, writer in self._writers.items():
            writer.forget_landed({entry["sha256"] for at, entry in waiting if at == topic})


def _row(topic: str, entry: Any) -> dict[str, Any]:
    return {
        "topic": topic,
        # The name's bytes may be no text; bronze's header `file` has them as they are.
        "file": entry["file"].encode(errors="surrogateescape").decode(errors="replace"),
        "sha256": entry["sha256"],
        "rows": entry["rows"],
        "batch_from": entry["batch_from"],
        "batch_to": entry["batch_to"],
        "ingested_at": datetime.fromisoformat(entry["ingested_at"]),
    }
