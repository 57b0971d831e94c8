"""`animeverse doctor`: everything that a user can get wrong, looked at one by one, with how to mend it.

Nothing is made that stays: what a probe writes, it deletes. What is asked over the network is asked all at once, each
in a thread of its own with a time limit, so that the whole ends in time with everything down. No text shows a secret.
"""

import fcntl
import os
import re
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Literal

from pipelines.errors import LakehouseError
from pipelines.settings import Settings, load_settings

_OLDEST = (3, 11)
PATIENCE = 10.0  # seconds for all that is asked over the network, together
NEEDED, WANTED = 200 * 10**6, 2 * 10**9  # bytes free
_PLAIN = re.compile(
    r"endpoint|region|timeout|location|mechanism|protocol|uri|anonymous|addressing|scope|prefix|warehouse"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it where it is not fine."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    mend: str = ""


Probe = Callable[[Settings], Iterable[Finding]]


def doctor(home: Path | None = None) -> list[Finding]:
    """All findings, in the order in which one would mend them."""
    began = time.monotonic()
    found = [_python(), _packages()]
    try:
        settings = load_settings(home=home)
    except LakehouseError as error:
        mend = "the names and what they take stand in .env.example; what needs the settings was not looked at"
        return [*found, Finding("settings", "fail", "; ".join(str(error).splitlines()), mend)]
    found.append(Finding("settings", "ok", f"log {settings.log_url}, catalog {settings.catalog_url}"))
    found += [_home(settings.home), _space(settings.home), _holder(settings.home)]
    found += _asked(settings, began + PATIENCE)
    hidden = _secrets(settings)
    return [replace(of, detail=_without(of.detail, hidden), mend=_without(of.mend, hidden)) for of in found]


def _asked(settings: Settings, deadline: float) -> list[Finding]:
    """What log, catalog and store say, or that they say nothing."""
    from pipelines.doctor_log import log
    from pipelines.doctor_store import catalog, store

    probes: Mapping[str, Probe] = {"log": log, "catalog": catalog, "store": store}
    answers: dict[str, list[Finding]] = {name: [] for name in probes}

    def work(name: str, probe: Probe) -> None:
        try:
            for finding in probe(settings):
                answers[name].append(finding)
        except LakehouseError as error:
            answers[name].append(Finding(name, "fail", str(error)))
        except Exception as error:  # a doctor that falls ill helps nobody
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            answers[name].append(Finding(name, "fail", told, "this was not foreseen: report it"))

    threads = {
        name: threading.Thread(target=work, args=(name, probe), name=f"doctor-{name}", daemon=True)
        for name, probe in probes.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            what = "the rest of it has no answer" if answers[name] else "no answer"
            mend = "see that it runs and that its address is right"
            answers[name] = [*answers[name], Finding(name, "fail", f"{what} within {PATIENCE:.0f} s", mend)]
    return [finding for found in answers.values() for finding in found]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if tuple(sys.version_info) < _OLDEST:
        return Finding("python", "fail", found, "expected 3.11 or newer: make PYTHON=python3.12 install")
    return Finding("python", "ok", found)


def _packages() -> Finding:
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in metadata.requires("animeverse") or []]
    except metadata.PackageNotFoundError:
        return Finding("packages", "warn", "animeverse itself is not installed", "`make install`")
    off, count = [], 0
    for of in wanted:
        if of.marker is not None and not of.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = metadata.version(of.name)
        except metadata.PackageNotFoundError:
            off.append(f"{of.name} is missing")
            continue
        if not of.specifier.contains(version, prereleases=True):
            off.append(f"{of.name} is {version}, expected {of.specifier}")
    if off:
        return Finding("packages", "fail", "; ".join(off), "`make install` installs what is locked")
    return Finding("packages", "ok", f"{count} as expected")


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


def _home(home: Path) -> Finding:
    try:
        probe_folder(home)
    except OSError as error:
        mend = "give it to this user (chown), or name another folder by ANIMEVERSE_HOME"
        return Finding("home", "fail", f"{home} cannot be written: {error.strerror}", mend)
    return Finding("home", "ok", f"{home}" + ("" if home.exists() else " (made by the first command that writes)"))


def _space(home: Path) -> Finding:
    free = shutil.disk_usage(nearest(home)).free
    detail = f"{free / 10**9:.1f} GB free"
    mend = "free some space (`animeverse maintain` gives back what is not needed), or move ANIMEVERSE_HOME"
    return (
        Finding("disk", "fail", detail, mend)
        if free < NEEDED
        else (Finding("disk", "warn", detail, mend) if free < WANTED else Finding("disk", "ok", detail))
    )


def _holder(home: Path) -> Finding:
    """Whether a run holds the home; the lock's file is not made for that."""
    try:
        handle = os.open(home / "run.lock", os.O_RDONLY)
    except OSError:
        return Finding("writer", "ok", "no run holds the home")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        return Finding("writer", "warn", f"pid {pid} writes this home", "a second writer is refused: stop it first")
    finally:
        os.close(handle)
    return Finding("writer", "ok", "no run holds the home")


def _secrets(settings: Settings) -> list[str]:
    """All values that no text may show."""
    given = {**settings.kafka, **settings.s3, **settings.catalog}
    return sorted({v for name, v in given.items() if len(v) > 2 and not _PLAIN.search(name)}, key=len, reverse=True)


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    text = " ".join(text.split()).partition("; then run the command again")[0]
    return re.sub(r"//[^/@\s]*@", "//***@", text)
