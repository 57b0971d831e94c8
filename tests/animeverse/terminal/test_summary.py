import pytest

from animeverse.terminal.summary import Verdicts, rule_meaning


def test_the_conservation_law_holds_when_every_record_is_counted_once() -> None:
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
def test_rules_are_described_in_words(rule: str, words: str) -> None:
    assert rule_meaning(rule) == words
