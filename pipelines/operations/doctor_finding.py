"""The result of one check of `animeverse doctor`, and a write test of a folder."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and how to fix it unless the status is `ok`."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""  # what to do

    def to_dict(self) -> dict[str, str]:
        """For JSON; the public name of `fix` there is `mend`."""
        return {"name": self.name, "status": self.status, "detail": self.detail, "mend": self.fix}


def nearest(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return path if path.exists() or path == path.parent else nearest(path.parent)


def probe_folder(folder: Path) -> None:
    """Create, read and delete a file in the folder or its nearest existing parent. Raises OSError.

    Also checks that a second exclusive creation of the file fails.
    """
    existing = nearest(folder)
    if not existing.is_dir():
        raise NotADirectoryError(20, "is a file, not a folder", str(existing))
    path = existing / f".animeverse-doctor-{uuid.uuid4().hex}"
    try:
        path.write_bytes(b"probe")
        if path.read_bytes() != b"probe":
            raise OSError(5, "returned other bytes than were written", str(path))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        raise OSError(5, "lets a file be created twice", str(path))
    finally:
        path.unlink(missing_ok=True)
