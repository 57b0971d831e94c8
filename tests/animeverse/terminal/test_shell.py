from collections.abc import Callable, Iterator

import pytest

from animeverse.terminal.shell import Shell, _typed_in
from pipelines.config.settings import Settings


def _typing(*lines: str | type[BaseException]) -> Callable[[str], str]:
    """Somebody who types these lines; an exception is a key such as Ctrl-C."""
    left: Iterator[str | type[BaseException]] = iter(lines)

    def ask(_prompt: str) -> str:
        line = next(left, EOFError)
        if isinstance(line, str):
            return line
        raise line

    return ask


@pytest.fixture
def shell(published: Settings) -> Iterator[Shell]:
    shell = Shell(published, "csv")
    yield shell
    shell.close()


def test_a_statement_ends_with_its_semicolon_however_many_lines_it_takes(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    _typed_in(shell, _typing("select n", "from gold.numbers", "", "where n = 2;", "select 7 as x;"))
    assert capsys.readouterr().out == "n\n2\nx\n7\n"


def test_a_mistake_is_told_and_typing_goes_on(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    _typed_in(shell, _typing("selec;", "drop table gold.numbers;", "select 1 as one;"))
    shown = capsys.readouterr()
    assert shown.out == "one\n1\n"
    assert "syntax error" in shown.err
    assert "read-only" in shown.err


def test_ctrl_c_drops_what_was_typed(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    _typed_in(shell, _typing("select", KeyboardInterrupt, "select 1 as one;"))
    assert capsys.readouterr().out == "one\n1\n"


def test_dot_commands_list_tables_and_columns_and_change_the_format(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    _typed_in(
        shell, _typing(".tables numb", ".columns gold.numbers", ".format json", "select 1 as one;", ".quit", "x;")
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gold.numbers"
    assert [line.split(",")[:2] for line in lines[2:4]] == [["n", "BIGINT"], ["share", '"DECIMAL(18']]
    assert lines[4:] == ['[{"one": 1}]']


def test_an_unknown_dot_command_shows_what_there_is(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    _typed_in(shell, _typing(".nonsense", ".format xml"))
    assert capsys.readouterr().err.count(".tables") == 3  # the greeting has it, too
