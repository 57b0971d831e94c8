"""What keeps files in the landing folder from being read, for `status` and `doctor`. Source: R28."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.bronze.landing_errors import FileChangedError, FileTroubleError, printable
from pipelines.bronze.landing_file import LandingFile
from pipelines.bronze.landing_folder import NOT_READ, REJECTED, LandingFolder
from pipelines.contracts.registry import TOPICS

_FILE = "landing_problems.json"


@dataclass(frozen=True, slots=True)
class LandingProblem:
    """An entry of the landing folder that is not read, and why."""

    path: str  # below the home
    detail: str


def record_problems(home: Path, problems: Mapping[str, str]) -> None:
    """Keep what a run met (path -> detail) for `landing_problems`. Does nothing where the home cannot be written."""
    path = home / _FILE
    with suppress(OSError):
        if not problems:
            path.unlink(missing_ok=True)
            return
        beside = path.with_name(_FILE + ".tmp")
        beside.write_text(json.dumps(dict(sorted(problems.items())), indent=1) + "\n", encoding="ascii")
        beside.replace(path)


def landing_problems(home: Path) -> list[LandingProblem]:
    """What is in the folder now and cannot be read, and what the last run met and is still there. Reads only."""
    folder = LandingFolder(home / "landing")
    look = folder.look(TOPICS)
    found = {path: NOT_READ + detail for path, detail in look.ignored.items()} | look.troubles
    for seen in (*look.settled, *look.settling):
        try:
            with folder.open_folder(seen.topic) as descriptor:
                LandingFile(seen, descriptor).close()
        except FileTroubleError as error:
            found[seen.path] = str(error)
        except (FileChangedError, OSError):
            continue  # gone or changed meanwhile
    for path, detail in _recorded(home).items():
        if path not in found and os.path.lexists(home / path):
            found[path] = detail
    return [LandingProblem(printable(path), printable(detail)) for path, detail in sorted(found.items())]


def rejected_files(home: Path) -> list[str]:
    """Paths below the home of files in `landing/_rejected/`."""
    root = home / "landing" / REJECTED
    found: list[str] = []
    for topic in TOPICS:
        with suppress(OSError):
            names = [entry.name for entry in os.scandir(root / topic) if entry.is_file(follow_symlinks=False)]
            found += [
                printable(f"landing/{REJECTED}/{topic}/{name}")
                for name in sorted(names)
                if not name.endswith(".reason")
            ]
    return found


def _recorded(home: Path) -> dict[str, str]:
    try:
        found = json.loads((home / _FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return {str(path): str(detail) for path, detail in found.items()} if isinstance(found, dict) else {}
