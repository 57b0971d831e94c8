"""Failures of disk, object store and catalog, as an error that says what to do about each."""

import re

from pipelines.errors import StoreUnavailableError

_ADVICE = (
    (r"locked", "Another process holds it: see which one (`fuser` or `lsof`)"),
    (r"no space|is full|quota|ENOSPC", "The disk is full: free some space"),
    (
        r"read-?only|permission denied|not permitted|access ?denied|forbidden",
        "It cannot be written: see who owns it and how it is mounted",
    ),
    (
        r"refused|timed? ?out|unreachable|reset by peer|resolve|curl|connect|endpoint|aborted|\b50[0-4]\b",
        "The object store or the catalog does not answer: see that it runs and that its address is right",
    ),
)
_ELSE = "Check that the disk has room and is writable, and that the catalog and the object store answer"
_MOST = 400  # characters shown of what a library says


def store_error(what: str, error: BaseException, otherwise: str = _ELSE) -> StoreUnavailableError:
    """The error for a person: what was being done, what the machinery said, what to do. The next run goes on.

    `otherwise` is the advice where what was said tells nothing.
    """
    said = str(getattr(error, "orig", None) or error).strip()
    line = said.splitlines()[0][:_MOST].rstrip(".") if said else type(error).__name__
    advice = next((text for pattern, text in _ADVICE if re.search(pattern, said, re.IGNORECASE)), otherwise)
    return StoreUnavailableError(
        f"{what} failed: {line}. {advice}; then run the command again: it goes on from the last commit."
    )
