"""Store errors say what failed, why, and what to do."""

import pytest

from pipelines.store_errors import store_error


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("database is locked", "Another process holds it"),
        ("[Errno 28] No space left on device", "The disk is full"),
        ("[Errno 30] Read-only file system", "It cannot be written"),
        ("AWS Error NETWORK_CONNECTION: curlCode: 7", "The object store or the catalog does not answer"),
        ("something else", "Check that the disk has room"),
    ],
)
def test_the_advice_follows_from_the_message(message: str, advice: str) -> None:
    text = str(store_error("opening x", OSError(message)))
    assert text.startswith(f"opening x failed: {message}. {advice}")
    assert text.endswith("then run the command again: it continues from the last commit.")


def test_a_message_of_several_lines_is_cut_to_the_first() -> None:
    assert "second" not in str(store_error("opening x", OSError("first\nsecond")))


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    assert "failed: TimeoutError." in str(store_error("opening x", TimeoutError()))
