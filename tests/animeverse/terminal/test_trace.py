import pytest

from animeverse.services.trace import GoldRow
from animeverse.terminal.trace import print_trace
from pipelines.operations.trace import Trace


def test_only_some_lines_of_a_large_event_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [GoldRow("gold.fct_sales", {"event_id": "e1", "line_number": number}) for number in range(1, 3_001)]
    print_trace(Trace("e1", [], [], []), lines)
    output = capsys.readouterr().out
    assert output.count("line_number") == 20
    assert "and 2,980 more: --json prints all" in output
