from collections.abc import Callable, Iterator

import pytest

from animeverse.terminal.shell import Shell, read_interactively
from pipelines.config.settings import Settings


def _lines(*lines: str | type[BaseException]) -> Callable[[str], str]:
    """Return a function that reads these lines; an exception represents a key such as Ctrl-C."""
    remaining: Iterator[str | type[BaseException]] = iter(lines)

    def ask(_prompt: str) -> str:
        line = next(remaining, EOFError)
        if isinstance(line, str):
            return line
        raise line

    return ask


@pytest.fixture
def shell(published: Settings) -> Iterator[Shell]:
    shell = Shell(published, "csv")
    yield shell
    shell.close()


def test_a_statement_ends_with_a_semicolon_and_may_span_lines(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    read_interactively(shell, _lines("select n", "from gold.numbers", "", "where n = 2;", "select 7 as x;"))
    assert capsys.readouterr().out == "n\n2\nx\n7\n"


def test_an_error_is_printed_and_the_shell_continues(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    read_interactively(shell, _lines("selec;", "drop table gold.numbers;", "select 1 as one;"))
    output = capsys.readouterr()
    assert output.out == "one\n1\n"
    assert "syntax error" in output.err
    assert "read-only" in output.err


def test_ctrl_c_discards_the_statement(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    read_interactively(shell, _lines("select", KeyboardInterrupt, "select 1 as one;"))
    assert capsys.readouterr().out == "one\n1\n"


def test_dot_commands_list_tables_and_columns_and_set_the_format(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    read_interactively(
        shell, _lines(".tables numb", ".columns gold.numbers", ".format json", "select 1 as one;", ".quit", "x;")
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gold.numbers"
    assert [line.split(",")[:2] for line in lines[2:4]] == [["n", "BIGINT"], ["share", '"DECIMAL(18']]
    assert lines[4:] == ['[{"one": 1}]']


def test_an_unknown_dot_command_prints_the_commands(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    read_interactively(shell, _lines(".nonsense", ".format xml"))
    assert capsys.readouterr().err.count(".tables") == 3  # once in the greeting
