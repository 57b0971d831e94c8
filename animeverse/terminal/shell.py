"""The interactive SQL shell: statements end with a semicolon, and the session follows new publications of gold."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from animeverse.services.query import Session
from animeverse.terminal import console
from animeverse.terminal.formats import print_result
from pipelines.config.settings import Settings
from pipelines.errors import LakehouseError

FORMATS = ("table", "csv", "json")
HELP = """\
End a statement with a semicolon. Gold, marts, silver, bronze and ops are one database, read-only.
.tables [WORD]     list tables, or those with WORD in their name
.columns TABLE     list the columns of a table
.format FORMAT     set the output format: table, csv or json
.quit              end (or Ctrl-D); Ctrl-C discards the statement"""


class Shell:
    """A session, and the lines of the statement that is being entered."""

    def __init__(self, settings: Settings, format_: str) -> None:
        self._settings = settings
        self._session = Session(settings)
        self._lines: list[str] = []
        self.format = format_

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    @property
    def prompt(self) -> str:
        """Return the prompt of the next line."""
        return "   ...> " if self._lines else "animeverse> "

    def drop(self) -> None:
        """Discard the lines since the last semicolon."""
        self._lines = []

    def line(self, text: str) -> bool:
        """Process one line. Returns False when it ends the shell. Raises LakehouseError when a statement fails."""
        if not self._lines and text.lstrip().startswith("."):
            return self._command(*text.strip().split(maxsplit=1))
        if text.strip() or self._lines:
            self._lines.append(text)
        if text.rstrip().endswith(";"):
            self.run_pending()
        return True

    def run_pending(self) -> None:
        """Run the entered lines, if any."""
        statement, self._lines = "\n".join(self._lines), []
        if statement.strip(" \n;"):
            self._run(statement)

    def _run(self, statement: str) -> None:
        if self._session.is_stale():
            self._session.close()
            self._session = Session(self._settings)
        for query in self._session.split(statement):
            print_result(self._session.run(query), self.format)

    def _command(self, name: str, argument: str = "") -> bool:
        match name:
            case ".quit" | ".exit":
                return False
            case ".tables":
                names = [f"{schema}.{table}" for schema, table in self._session.tables()]
                print(*(name for name in names if argument.lower() in name), sep="\n")  # noqa: T201
            case ".columns" if argument:
                self._run(f"describe {argument.strip(';')}")
            case ".format" if argument in FORMATS:
                self.format = argument
            case _:
                console.say(HELP)
        return True


def run_shell(settings: Settings, format_: str) -> None:
    """Read statements until the end of the input.

    If stdin is not a terminal, the first statement that fails ends the shell with its LakehouseError.
    """
    shell = Shell(settings, format_)
    try:
        if not sys.stdin.isatty():
            _read_pipe(shell, sys.stdin)
        else:
            with _history(settings):
                read_interactively(shell, input)
    finally:
        shell.close()


def _read_pipe(shell: Shell, lines: TextIO) -> None:
    for line in lines:
        if not shell.line(line.rstrip("\n")):
            return
    shell.run_pending()


def read_interactively(shell: Shell, ask: Callable[[str], str]) -> None:
    """Read lines with `ask(prompt)` until the end. Errors are printed on stderr, and Ctrl-C discards the statement."""
    console.say(".help lists the commands, .tables the tables")
    while True:
        try:
            if not shell.line(ask(shell.prompt)):
                return
        except EOFError:
            console.say("")
            return
        except KeyboardInterrupt:
            shell.drop()
            console.say("")
        except LakehouseError as error:
            console.say(str(error))


@contextlib.contextmanager
def _history(settings: Settings) -> Iterator[None]:
    """Keep the history of entered lines in the home."""
    try:
        import readline
    except ImportError:  # not part of every Python build
        yield
        return
    path = settings.home / "sql_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(1_000)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            readline.write_history_file(path)
