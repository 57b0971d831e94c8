import pytest

from animeverse.terminal import console
from animeverse.terminal.text import visible


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb", r"a\rb"),
        ("\u202ereversed", r"\u202ereversed"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\U000e0041tag", r"\U000e0041tag"),
        ("\udcff", r"\udcff"),
        ("\x7f", r"\x7f"),
    ],
)
def test_controls_are_shown_as_escapes(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


@pytest.mark.parametrize("text", ["plain", "two\nlines", "a\ttab", "日本語 ü é", "emoji 🎬", "[bold]"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_tables_and_messages_show_no_control_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.put(console.table(("name",), [("\x1b[31m[red]x[/red]\u202e",)]))
    console.put(console.escape("\x1b[2J[bold]y[/bold]"))
    console.say("\x1b[3J[i]z[/i]")
    printed = "".join(capsys.readouterr())
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    for text in ("[red]x[/red]", "[bold]y[/bold]", "[i]z[/i]"):
        assert text in printed
