"""Translates DuckDB's I/O failures to StoreUnavailableError and reopens the file at the next call."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import duckdb

from pipelines.errors import StoreUnavailableError
from pipelines.store_errors import store_error
from warehouse.storage.connection import DAMAGED

# After a failed write DuckDB raises FatalException, and ConnectionException once the database is closed.
_STORE = (
    OSError,
    duckdb.ConnectionException,
    duckdb.FatalException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.PermissionException,
)

P = ParamSpec("P")
R = TypeVar("R")


class Reopenable(Protocol):
    """A holder of a DuckDB connection to `gold_dir`."""

    gold_dir: Path
    broken: bool

    def reopen(self) -> None:
        """Opens the file, which holds the last commit, again."""


G = TypeVar("G", bound=Reopenable)


def translate_disk_errors(method: Callable[Concatenate[G, P], R]) -> Callable[Concatenate[G, P], R]:
    """Makes a method raise StoreUnavailableError if the disk fails. The next call then starts with `reopen`."""

    @functools.wraps(method)
    def call(self: G, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if self.broken:
                self.reopen()
            return method(self, *args, **kwargs)
        except StoreUnavailableError:
            self.broken = True
            raise
        except _STORE as error:
            self.broken = True
            raise store_error(f"writing gold in {self.gold_dir}", error) from error
        except duckdb.Error as error:
            cause = error.__context__
            if isinstance(cause, _STORE):  # a consequence of an earlier failure
                self.broken = True
                raise store_error(f"writing gold in {self.gold_dir}", cause) from error
            if str(error).startswith("Corrupt database file"):  # a damaged block that opening did not read
                self.broken = True
                raise store_error(f"reading gold in {self.gold_dir}", error, DAMAGED) from error
            raise

    return call


def close_quietly(connection: duckdb.DuckDBPyConnection) -> None:
    """Closes a connection that may be broken or closed."""
    with contextlib.suppress(duckdb.Error):
        connection.close()
