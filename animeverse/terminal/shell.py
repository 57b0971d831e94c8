"""`animeverse sql`: SQL typed line by line, one statement up to each semicolon, over one session that stays fresh."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from animeverse.services.query import Result, Session
from animeverse.terminal import console
from animeverse.terminal.formats import write_csv, write_json, write_table
from pipelines.config.settings import Settings
from pipelines.errors import LakehouseError

FORMATS = ("table", "csv", "json")
HELP = """\
End a statement with a semicolon. Gold, marts, silver, bronze and ops are one database, read-only.
.tables [WORD]     what there is to read, with WORD in its name
.columns TABLE     its columns
.format FORMAT     table, csv or json
.quit              end (or Ctrl-D); Ctrl-C drops what you typed"""


def show(result: Result, how: str) -> None:
    """The result on stdout, as `table`, `csv` or `json`."""
    if how == "json":
        write_json(sys.stdout, result.names, result.rows)
    elif how == "csv":
        write_csv(sys.stdout, result.names, result.rows)
    else:
        write_table(result.names, result.types, result.rows)


class Shell:
    """What has been typed so far, and the session it runs on."""

    def __init__(self, settings: Settings, how: str) -> None:
        self._settings = settings
        self._session = Session(settings)
        self._typed: list[str] = []
        self.how = how

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    @property
    def prompt(self) -> str:
        """What stands before the next line."""
        return "   ...> " if self._typed else "animeverse> "

    def drop(self) -> None:
        """Forget what was typed since the last semicolon."""
        self._typed = []

    def line(self, text: str) -> bool:
        """Take one line; False: that was the end. Raises LakehouseError when a statement fails."""
        if not self._typed and text.lstrip().startswith("."):
            return self._command(*text.strip().split(maxsplit=1))
        if text.strip() or self._typed:
            self._typed.append(text)
        if text.rstrip().endswith(";"):
            self.rest()
        return True

    def rest(self) -> None:
        """Run what was typed, if anything."""
        statement, self._typed = "\n".join(self._typed), []
        if statement.strip(" \n;"):
            self._run(statement)

    def _run(self, statement: str) -> None:
        if self._session.is_stale():
            self._session.close()
            self._session = Session(self._settings)
        for one in self._session.split(statement):
            show(self._session.run(one), self.how)

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
                self.how = argument
            case _:
                console.say(HELP)
        return True


def run(settings: Settings, how: str) -> int:
    """Read statements until the end; the exit code. Not typed by a person, the first that fails ends it with code 2."""
    shell = Shell(settings, how)
    try:
        if not sys.stdin.isatty():
            _from_pipe(shell, sys.stdin)
        else:
            with _history(settings):
                _typed_in(shell, input)
    finally:
        shell.close()
    return 0


def _from_pipe(shell: Shell, lines: TextIO) -> None:
    for line in lines:
        if not shell.line(line.rstrip("\n")):
            return
    shell.rest()


def _typed_in(shell: Shell, ask: Callable[[str], str]) -> None:
    console.say(".help says what can be typed here, .tables what there is to read")
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
    """What was typed is there again with the arrow keys, the next time, too; kept in the home."""
    try:
        import readline
    except ImportError:  # not every Python has it
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
