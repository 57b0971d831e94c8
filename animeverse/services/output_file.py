"""Files that commands write: never in a home, never over an existing file unasked, and whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import UsageError


@contextlib.contextmanager
def output_file(file: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a path beside `file` to write to; it gets the name of `file` at the end of the block, or is deleted.

    Raises UsageError where `file` exists and `force` is False, where it is no regular file, or where it is in a home.
    """
    refuse_target(file, force=force)
    if not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written: the folder {file.parent} does not exist")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def refuse_target(file: Path, *, force: bool) -> None:
    """Raise UsageError where a command may not write to `file`."""
    target = file.resolve()
    for folder in target.parents:
        if (folder / "catalog.db").exists() or (folder / "gold" / "writer.duckdb").exists():
            raise UsageError(f"{file} is in the home {folder}: name a file outside of it")
    if target.exists() and not target.is_file():
        raise UsageError(f"{file} exists and is no file: name another one")
    if target.exists() and not force:
        raise UsageError(f"{file} exists: name another file, or overwrite it with --force")
