"""One connection to one SQLite file through the ADBC driver, with translation of SQLite's errors.

All access to the file uses the driver's copy of SQLite. Python's `sqlite3` is a second copy, and POSIX releases all
locks of a process on a file when any copy closes it: another process could then delete the write-ahead log of an open
writer. So a process must not open the file with another library. The driver's copy is also free of the WAL-reset bug of
SQLite < 3.51.3.
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

LOCK_TIMEOUT = 9.0  # seconds to wait for another process's lock
PAGE_BYTES = 16_384  # 2x the write rate and 1.5x the read rate of 4 KiB pages with records of 400 bytes
_PART = ".part-"  # in the name of a file that is not complete yet
_PRAGMAS = (
    "pragma busy_timeout = 100",  # short, since Ctrl-C does not interrupt this wait
    "pragma synchronous = full",
    "pragma journal_size_limit = 67108864",
)

T = TypeVar("T")


class Database:
    """An open connection, for one thread at a time. A statement outside `transaction` commits by itself."""

    def __init__(self, path: Path, mode: str = "rw") -> None:
        self.path = path
        with _translate_errors(path):
            self._database = adbc_driver_sqlite.connect(f"{path.absolute().as_uri()}?mode={mode}")
            try:
                self._connection = adbc.AdbcConnection(self._database)
            except BaseException:
                self._database.close()
                raise
        self._prepared: dict[str, adbc.AdbcStatement] = {}
        self._own_commits = 0
        try:
            stat = path.stat()
            self._file = stat.st_dev, stat.st_ino
            for pragma in _PRAGMAS:
                self.execute(pragma)
        except BaseException:
            self.close()
            raise

    def is_current(self) -> bool:
        """Whether the open file is still at the path; false after it was deleted or replaced."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return (stat.st_dev, stat.st_ino) == self._file

    def execute(self, sql: str, parameters: pa.RecordBatch | None = None) -> None:
        """Run a statement; with parameters, once per row of them."""

        def run() -> None:
            with closing(self._statement(sql, parameters)) as statement:
                statement.execute_update()

        with _translate_errors(self.path):
            _retry_locked(run)

    def rows(self, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
        """Return all rows of a small result. The statement stays prepared, so a repetition costs some 20 µs."""

        def run() -> list[tuple[Any, ...]]:
            statement = self._prepare(sql)
            if parameters:
                _bind(statement, pa.RecordBatch.from_arrays([pa.array([p]) for p in parameters], _names(parameters)))
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as reader:
                table = reader.read_all()
            return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

        with _translate_errors(self.path):
            return _retry_locked(run)

    def version(self) -> tuple[int, int]:
        """Return numbers that change with every committed transaction: the cheapest check for new records."""
        with _translate_errors(self.path):
            return _retry_locked(self._version), self._own_commits

    @contextmanager
    def batches(self, sql: str, batch_rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
        """Yield the result of a query as Arrow batches. The driver infers each column's type from the first batch: a
        column must not be null throughout, nor mix types.
        """
        with _translate_errors(self.path), closing(self._statement(sql)) as statement:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as reader:
                yield iter(reader)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """Run the statements inside in one transaction: they see one state and take effect together or not at all."""
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
        """Close the file."""
        for statement in self._prepared.values():
            statement.close()
        self._prepared = {}
        self._connection.close()
        self._database.close()

    def _version(self) -> int:
        statement = self._prepare("pragma data_version")
        stream, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(stream) as reader:
            return int(reader.read_next_batch()[0][0].as_py())  # cheaper than `rows`: this runs 100 times a second

    def _prepare(self, sql: str) -> adbc.AdbcStatement:
        if sql not in self._prepared:
            self._prepared[sql] = self._statement(sql)
        return self._prepared[sql]

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


def create_database(path: Path, statements: Sequence[str]) -> None:
    """Create the file by running the statements, completely or not at all. An existing file stays unchanged."""
    part = path.with_name(f"{path.name}{_PART}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(Database(part, mode="rwc")) as database:
            database.execute(f"pragma page_size = {PAGE_BYTES}")
            database.execute("pragma journal_mode = wal")
            with database.transaction(write=True):
                for statement in statements:
                    database.execute(statement)
        with suppress(FileExistsError):  # another process created it meanwhile
            path.hardlink_to(part)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot create the log {path}: {error.strerror or error}; check that the folder can be written"
        ) from error
    finally:
        for remainder in path.parent.glob(f"{part.name}*"):
            remainder.unlink()


def _names(parameters: Sequence[object]) -> list[str]:
    return [str(number) for number in range(len(parameters))]


def _bind(statement: adbc.AdbcStatement, parameters: pa.RecordBatch) -> None:
    array, schema = adbc.ArrowArrayHandle(), adbc.ArrowSchemaHandle()
    parameters._export_to_c(array.address, schema.address)
    statement.bind(array, schema)


def _retry_locked(run: Callable[[], T]) -> T:
    """Retry while another process holds the lock, at random short intervals, up to LOCK_TIMEOUT seconds."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return run()
        except adbc.Error as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.001, 0.01))


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Raise our error for an error of the driver, Arrow or the disk."""
    try:
        yield
    except (adbc.Error, pa.ArrowException, OSError) as error:
        raise translated_error(path, str(error)) from error


def _is_full(folder: Path) -> bool:
    """Whether no page fits on the disk any more, when SQLite's shared memory fails with an I/O error."""
    with suppress(OSError):
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize < PAGE_BYTES
    return False


def translated_error(path: Path, text: str) -> LakehouseError:
    """Return our error for SQLite's error text about the log at `path`."""
    cause = text.splitlines()[0] if text else "no reason given"
    path = path.with_name(path.name.partition(_PART)[0])
    if "locked" in text:
        return LogUnavailableError(
            f"the log {path} has been locked by another process for {LOCK_TIMEOUT:.0f} s: "
            "find the process (`fuser` or `lsof`) and stop it, then try again"
        )
    if "is full" in text or ("I/O error" in text and _is_full(path.parent)):
        return StoreUnavailableError(f"no space left for the log {path}: free space, then repeat the command ({cause})")
    if "readonly" in text:
        return StoreUnavailableError(
            f"the log {path} cannot be written: check the owner and permissions of file and folder ({cause})"
        )
    if "unable to open" in text or "I/O error" in text:
        return StoreUnavailableError(
            f"cannot read or write the log {path}: check the disk, and that its folder can be written ({cause})"
        )
    if "not a database" in text or "malformed" in text:
        return LogRefusedError(f"{path} is damaged or no log of AnimeVerse: move it away or restore it ({cause})")
    return LogRefusedError(f"the log {path} refused: {cause}")
