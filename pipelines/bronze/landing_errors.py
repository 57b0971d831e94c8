"""What can go wrong with one landing file. None of these stops another file or the log."""


class UnreadableFileError(Exception):
    """The content cannot be read; the text says why. The file is rejected."""


class FileTroubleError(Exception):
    """The system refused to look at, read, move or delete the file. The file stays where it is."""


class FileChangedError(Exception):
    """The file is no longer what was looked at. It is looked at again."""


def printable(text: str) -> str:
    """The text with bytes that are no text, and characters that control a terminal, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def trouble(action: str, error: OSError) -> FileTroubleError:
    """The error for a person: what was being done and what the system said."""
    return FileTroubleError(f"cannot be {action}: {error.strerror or error}")
