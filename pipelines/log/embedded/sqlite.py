"""One connection to one SQLite file, through the ADBC driver alone, with SQLite's failures told in our errors.

Reading and writing share the driver's SQLite on purpose. Python's `sqlite3` brings a second copy of SQLite into the
process, and POSIX drops all of a process's locks on a file when any copy closes it: another process could then take the
write-ahead log away under an open writer. (The driver's copy is also free of the WAL-reset bug of SQLite < 3.51.3.)
Nothing else in a process may open the same file with another library.
"""

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import adbc_driver_manager as adbc
import adbc_driver_sqlite
import pyarrow as pa

from pipelines.errors import LakehouseError, LogRefusedError, LogUnavailableError, StoreUnavailableError

PATIENCE = 9.0  # seconds to wait for another process's lock
PAGE_BYTES = 16_384  # 2x the write rate and 1.5x the read rate of 4 KiB pages with records of 400 bytes
_PART = ".part-"  # in the name of a log that is being made
_PRAGMAS = (
    "pragma busy_timeout = 100",  # short: while SQLite waits inside, Ctrl-C has to wait, too
    "pragma synchronous = full",
    "pragma journal_size_limit = 67108864",
)

T = TypeVar("T")


class Database:
    """An open connection. Not for several threads at once; each statement outside `transaction` commits by itself."""

    def __init__(self, path: Path, mode: str = "rw") -> None:
        self.path = path
        with _told(path):
            self._database = adbc_driver_sqlite.connect(f"{path.absolute().as_uri()}?mode={mode}")
            try:
                self._connection = adbc.AdbcConnection(self._database)
            except BaseException:
                self._database.close()
                raise
        self._kept: dict[str, adbc.AdbcStatement] = {}
        self._own_commits = 0
        try:
            found = path.stat()
            self._file = found.st_dev, found.st_ino
            for pragma in _PRAGMAS:
                self.execute(pragma)
        except BaseException:
            self.close()
            raise

    def is_current(self) -> bool:
        """Whether the path still leads to the file that is open; false once it was deleted or replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def execute(self, sql: str, parameters: pa.RecordBatch | None = None) -> None:
        """Run a statement; with parameters once for each of their rows."""

        def run() -> None:
            with closing(self._statement(sql, parameters)) as statement:
                statement.execute_update()

        with _told(self.path):
            _patiently(run)

    def rows(self, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
        """All rows of a small answer. The statement is kept prepared: asked again it costs some 20 µs."""

        def run() -> list[tuple[Any, ...]]:
            statement = self._keep(sql)
            if parameters:
                _bind(statement, pa.RecordBatch.from_arrays([pa.array([p]) for p in parameters], _names(parameters)))
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as reader:
                table = reader.read_all()
            return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

        with _told(self.path):
            return _patiently(run)

    def version(self) -> tuple[int, int]:
        """Numbers that change when a transaction is committed: the cheapest way to see that something is new."""
        with _told(self.path):
            return _patiently(self._version), self._own_commits

    @contextmanager
    def batches(self, sql: str, batch_rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
        """The answer of a query as Arrow batches. The driver takes each column's type from the first batch: a column
        must not be null throughout, nor mix types.
        """
        with _told(self.path), closing(self._statement(sql)) as statement:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as reader:
                yield iter(reader)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """All statements inside see one state and, if they write, become durable together or not at all."""
        try:
            self.execute("begin immediate" if write else "begin")
            yield
            self.execute("commit")
            self._own_commits += write
        except BaseException:
            with suppress(LakehouseError):  # a failed commit may have rolled back already
                self.execute("rollback")
            raise

    def close(self) -> None:
        """Let go of the file."""
        for statement in self._kept.values():
            statement.close()
        self._kept = {}
        self._connection.close()
        self._database.close()

    def _version(self) -> int:
        statement = self._keep("pragma data_version")
        stream, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(stream) as reader:
            return int(reader.read_next_batch()[0][0].as_py())  # less work than `rows`: this runs 100 times a second

    def _keep(self, sql: str) -> adbc.AdbcStatement:
        if sql not in self._kept:
            self._kept[sql] = self._statement(sql)
        return self._kept[sql]

    def _statement(self, sql: str, parameters: pa.RecordBatch | None = None) -> adbc.AdbcStatement:
        statement = adbc.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(sql)
            if parameters is not None:
                statement.prepare()
                _bind(statement, parameters)
        except BaseException:
            statement.close()
            raise
        return statement


def create(path: Path, statements: Sequence[str]) -> None:
    """Make the file with what the statements put in it, whole or not at all; one that is there stays as it is."""
    part = path.with_name(f"{path.name}{_PART}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(Database(part, mode="rwc")) as database:
            database.execute(f"pragma page_size = {PAGE_BYTES}")
            database.execute("pragma journal_mode = wal")
            with database.transaction(write=True):
                for statement in statements:
                    database.execute(statement)
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(part)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot make the log {path}: {error.strerror or error}; check that the folder can be written"
        ) from error
    finally:
        for left in path.parent.glob(f"{part.name}*"):
            left.unlink()


def _names(parameters: Sequence[object]) -> list[str]:
    return [str(number) for number in range(len(parameters))]


def _bind(statement: adbc.AdbcStatement, parameters: pa.RecordBatch) -> None:
    array, schema = adbc.ArrowArrayHandle(), adbc.ArrowSchemaHandle()
    parameters._export_to_c(array.address, schema.address)
    statement.bind(array, schema)


def _patiently(run: Callable[[], T]) -> T:
    """Try again while another process holds the lock, at random short intervals, up to PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return run()
        except adbc.Error as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.001, 0.01))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the driver and Arrow raise into the error that a person can act on."""
    try:
        yield
    except (adbc.Error, pa.ArrowException, OSError) as error:
        raise _translated(path, str(error)) from error


def _is_full(folder: Path) -> bool:
    """Whether a page does not fit on its disk any more: SQLite's shared memory fails with an I/O error then."""
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize < PAGE_BYTES
    return False


def _translated(path: Path, text: str) -> LakehouseError:
    cause = text.splitlines()[0] if text else "no reason given"
    path = path.with_name(path.name.partition(_PART)[0])
    if "locked" in text:
        return LogUnavailableError(
            f"the log {path} has been locked by another process for {PATIENCE:.0f} s: "
            "see which one holds it (`fuser` or `lsof`), then try again"
        )
    if "is full" in text or ("I/O error" in text and _is_full(path.parent)):
        return StoreUnavailableError(f"no space left for the log {path}: free some, then run the same again ({cause})")
    if "readonly" in text:
        return StoreUnavailableError(f"the log {path} cannot be written: check who owns it and its folder ({cause})")
    if "unable to open" in text or "I/O error" in text:
        return StoreUnavailableError(
            f"cannot read or write the log {path}: check the disk, and that its folder can be written ({cause})"
        )
    if "not a database" in text or "malformed" in text:
        return LogRefusedError(f"{path} is damaged or no log of AnimeVerse: move it away or restore it ({cause})")
    return LogRefusedError(f"the log {path} refused: {cause}")
