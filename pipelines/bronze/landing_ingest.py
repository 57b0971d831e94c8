"""Landing files into bronze: each content once, whole or not at all, and what became of each file reported (R28)."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.bronze.landing_errors import FileChangedError, FileTroubleError, UnreadableFileError, printable, trouble
from pipelines.bronze.landing_file import LandingFile, Sighting
from pipelines.bronze.landing_folder import NOT_READ, LandingFolder, Look
from pipelines.bronze.landing_moved import MovedFiles
from pipelines.bronze.landing_moves import LandingMoves
from pipelines.bronze.landing_problems import record_problems
from pipelines.bronze.writer import BronzeWriter
from pipelines.clock import Clock, utc_now
from pipelines.contracts.tables import LANDING_FILES
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import Lake, LakeTable

_RETRY_SECONDS = 60.0  # between tries of a file that the system refused, while it stays as it is


class LandingIngestor:
    """The landing folder beside the writers of bronze. Use it from the thread that writes bronze."""

    def __init__(self, lake: Lake, root: Path, writers: Sequence[BronzeWriter], say: Callable[[str], None]) -> None:
        self._home = root.parent
        self._folder = LandingFolder(root)
        self._moved = MovedFiles(self._home / "landing_moves.ndjson", utc_now())
        self._moves = LandingMoves(self._folder, self._moved)
        self._writers = {writer.topic: writer for writer in writers}
        self._progress_note = say
        self._table = lake.ensure("ops.landing_files", LANDING_FILES)
        rows = self._table.read(columns=["topic", "sha256", "file"]).to_pylist()
        self._known: dict[tuple[str, str], str] = {(row["topic"], row["sha256"]): row["file"] for row in rows}
        for writer in writers:
            for entry in writer.position.landed:
                self._known[writer.topic, entry["sha256"]] = entry["file"]
                if "inode" in entry:
                    self._moved.ingested(writer.topic, entry["inode"], entry["bytes"], entry["sha256"])
        self.settling = False
        self._said: set[str] = set()
        self._refused: dict[str, tuple[Sighting, float]] = {}  # path -> as it was, when to try again
        self._problems: dict[str, str] = {}  # path -> why it is not read
        self._recorded: dict[str, str] | None = None
        self._folder.restore_leaving(list(self._writers))

    @property
    def table(self) -> LakeTable:
        """The list of files ingested."""
        return self._table

    def ingest(self, clock: Clock) -> dict[str, int]:
        """Ingest what has settled; topic -> records. No fault of a file stops another one."""
        for message in self._moves.give_back_changed(set(self._known)):
            self._say(message)
        look = self._folder.look(list(self._writers))
        self.settling = bool(look.settling)
        self._report(look)
        taken: dict[str, int] = {}
        for seen in look.settled:
            self._take(seen, clock, taken)
        self.flush()
        if self._problems != self._recorded:
            record_problems(self._home, self._problems)
            self._recorded = dict(self._problems)
        return taken

    def _report(self, look: Look) -> None:
        there = {seen.path for seen in look.settled}
        refused = {path: detail for path, detail in self._problems.items() if path in there and path in self._refused}
        self._refused = {path: found for path, found in self._refused.items() if path in refused}
        self._problems = refused
        for path, detail in look.ignored.items():
            self._problem(path, f"{NOT_READ}{detail}")
        for path, detail in look.troubles.items():
            self._problem(path, detail)

    def _problem(self, path: str, detail: str) -> None:
        self._problems[path] = detail
        self._say_once(f"{path} {detail}")

    def _say(self, message: str) -> None:
        self._progress_note(printable(message))

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._say(message)

    def _take(self, seen: Sighting, clock: Clock, taken: dict[str, int]) -> None:
        """Ingest one file and move it; leave it where it is after any failure of the system."""
        before = self._refused.get(seen.path)
        if before is not None and before[0] == seen and time.monotonic() < before[1]:
            return
        try:
            with self._open(seen) as file:
                if file.is_being_written():
                    self.settling = True
                    self._say_once(f"{seen.path} is open for writing: it is read when its writer has closed it")
                    return
                file.identify(self._moved.ingested_sizes(seen.topic, seen.state.inode))
                self._ingest(file, clock, taken)
        except FileChangedError:
            self.settling = True  # the next look starts over
        except FileTroubleError as error:
            self._refused[seen.path] = (seen, time.monotonic() + _RETRY_SECONDS)
            self._problem(seen.path, str(error))
            return
        self._refused.pop(seen.path, None)
        self._problems.pop(seen.path, None)

    def _open(self, seen: Sighting) -> LandingFile:
        try:
            with self._folder.open_folder(seen.topic) as folder:
                return LandingFile(seen, folder)
        except OSError as error:
            raise trouble("opened", error) from error

    def _ingest(self, file: LandingFile, clock: Clock, taken: dict[str, int]) -> None:
        before = self._known.get((file.topic, file.sha256))
        if before is None:
            try:
                rows = self._writers[file.topic].ingest_file(file, clock)
            except UnreadableFileError as error:
                self._reject(file, str(error))
                return
            self._known[file.topic, file.sha256] = file.name
            self._moved.ingested(file.topic, file.state.inode, file.state.size, file.sha256)
            taken[file.topic] = taken.get(file.topic, 0) + rows
            fault_point("landing.ingested")
        elif before != file.name:
            self._say_once(f"{file.path} has the same content as {before}, which is ingested: skipped")
        try:
            self._moves.done(file)
        except FileChangedError as error:
            self.settling = True
            self._say(f"{file.path} {error}")

    def _reject(self, file: LandingFile, reason: str) -> None:
        try:
            place = self._moves.rejected(file, reason)
        except FileTroubleError as error:
            raise FileTroubleError(f"cannot be read: {reason}. It {error}") from error
        self._say(f"{file.path} cannot be read: {reason}. It is in {place}")

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
