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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from pipelines.config.settings import Settings, load_settings
from pipelines.errors import LakehouseError
from pipelines.operations.doctor_finding import Finding, nearest, probe_folder
from pipelines.operations.doctor_landing import landing

_OLDEST = (3, 11)
PATIENCE = 10.0  # seconds for all that is asked over the network, together
NEEDED, WANTED = 200 * 10**6, 2 * 10**9  # bytes free
_PLAIN = re.compile(
    r"endpoint|region|timeout|location|mechanism|protocol|uri|anonymous|addressing|scope|prefix|warehouse"
)


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
    found += [_home(settings.home), _space(settings.home), _holder(settings.home), landing(settings.home)]
    found += _asked(settings, began + PATIENCE)
    hidden = _secrets(settings)
    return [replace(of, detail=_without(of.detail, hidden), mend=_without(of.mend, hidden)) for of in found]


def _asked(settings: Settings, deadline: float) -> list[Finding]:
    """What log, catalog and store say, or that they say nothing."""
    from pipelines.operations.doctor_log import log
    from pipelines.operations.doctor_store import catalog, store

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
