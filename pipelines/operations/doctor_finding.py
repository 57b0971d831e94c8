"""The finding of a doctor probe."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it where it is not fine."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    mend: str = ""


def nearest(path: Path) -> Path:
    """The path, or what is there above it."""
    return path if path.exists() or path == path.parent else nearest(path.parent)


def probe_folder(folder: Path) -> None:
    """Write, read, write again where it must fail, delete; in the folder or what is there above it. Raises OSError."""
    there = nearest(folder)
    if not there.is_dir():
        raise NotADirectoryError(20, "is a file, not a folder", str(there))
    path = there / f".animeverse-doctor-{uuid.uuid4().hex}"
    try:
        path.write_bytes(b"probe")
        if path.read_bytes() != b"probe":
            raise OSError(5, "gave back other bytes than were written", str(path))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        raise OSError(5, "lets a file be made twice", str(path))
    finally:
        path.unlink(missing_ok=True)
