import pytest

from animeverse.terminal.trace import print_trace
from pipelines.operations.trace import Trace


def test_of_an_event_with_thousands_of_lines_some_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [("gold.fct_sales", {"event_id": "e1", "line_number": number}) for number in range(1, 3_001)]
    print_trace(Trace("e1", [], [], []), lines)
    shown = capsys.readouterr().out
    assert shown.count("line_number") == 20
    assert "and 2,980 more: --json has them all" in shown
