import pytest

from animeverse.terminal import console
from animeverse.terminal.summary import Verdicts, meaning


def test_the_law_holds_when_every_record_is_accounted_for_once() -> None:
    assert Verdicts("t", 10, 10, 6, 1, 2, 1).holds
    assert not Verdicts("t", 10, 9, 6, 1, 2, 1).holds
    assert not Verdicts("t", 10, 10, 6, 1, 2, 0).holds


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("too_late", "older than the allowed lateness"),
        ("missing:items.quantity", "items.quantity is absent, null or blank"),
        ("rule:line_number", "breaks the rule on line_number"),
        ("something_new", ""),
    ],
)
def test_a_rule_is_said_in_words(rule: str, words: str) -> None:
    assert meaning(rule) == words


def test_bars_are_as_long_as_their_share() -> None:
    assert console.bar(10, 10, 8) == "████████"
    assert console.bar(5, 10, 8) == "████"
    assert console.bar(0.1, 10, 8) == "▏"
    assert console.bar(0, 10, 8) == console.bar(-3, 10, 8) == console.bar(1, 0, 8) == ""


def test_numbers_are_shown_in_units_people_read() -> None:
    assert [console.seconds(s) for s in (0.0004, 0.25, 1, 90, 600)] == ["0 ms", "250 ms", "1.0 s", "90.0 s", "10.0 min"]
    assert [console.size(n) for n in (0, 999, 1_500, 2_000_000, 3 * 10**12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 MB",
        "3.0 TB",
    ]
