"""Error messages for failures of disk, object store and catalog, with advice for each kind."""

import re

from pipelines.errors import StoreUnavailableError

_ADVICE = (
    (r"locked", "Another process holds it: find it with `fuser` or `lsof`"),
    (r"no space|is full|quota|ENOSPC", "The disk is full: free some space"),
    (
        r"read-?only|permission denied|not permitted|access ?denied|forbidden",
        "It cannot be written: check its owner and how it is mounted",
    ),
    (
        r"refused|timed? ?out|unreachable|reset by peer|resolve|curl|connect|endpoint|aborted|\b50[0-4]\b",
        "The object store or the catalog does not answer: check that it runs and that its address is right",
    ),
)
_DEFAULT_ADVICE = "Check that the disk has room and is writable, and that the catalog and the object store answer"
_MAX_CHARACTERS = 400  # shown of the message of a library


def store_error(what: str, error: BaseException, otherwise: str = _DEFAULT_ADVICE) -> StoreUnavailableError:
    """The error for the user: what failed, the message of the library, what to do.

    `otherwise` is the advice if the message matches no known kind of failure.
    """
    message = str(getattr(error, "orig", None) or error).strip()
    line = message.splitlines()[0][:_MAX_CHARACTERS].rstrip(".") if message else type(error).__name__
    advice = next((text for pattern, text in _ADVICE if re.search(pattern, message, re.IGNORECASE)), otherwise)
    return StoreUnavailableError(
        f"{what} failed: {line}. {advice}; then run the command again: it continues from the last commit."
    )
