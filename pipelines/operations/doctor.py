"""`animeverse doctor`: checks the setup and says how to fix what is wrong.

Every check deletes what it writes. The checks of log, catalog and store run in one thread each with a common time
limit, so the command ends in time even if all of them are down. Secrets are removed from all texts.
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

_OLDEST_PYTHON = (3, 11)
PROBE_TIMEOUT = 10.0  # seconds for the checks of log, catalog and store together
MIN_FREE_BYTES, RECOMMENDED_FREE_BYTES = 200 * 10**6, 2 * 10**9
# Names of client properties whose values are no secrets.
_PUBLIC_PROPERTIES = re.compile(
    r"endpoint|region|timeout|location|mechanism|protocol|uri|anonymous|addressing|scope|prefix|warehouse"
)


Probe = Callable[[Settings], Iterable[Finding]]


def doctor(home: Path | None = None) -> list[Finding]:
    """Return all findings, in the order in which to fix them."""
    deadline = time.monotonic() + PROBE_TIMEOUT
    findings = [_python(), _packages()]
    try:
        settings = load_settings(home=home)
    except LakehouseError as error:
        fix = ".env.example lists the settings and their values; checks that need settings were skipped"
        return [*findings, Finding("settings", "fail", "; ".join(str(error).splitlines()), fix)]
    findings.append(Finding("settings", "ok", f"log {settings.log_url}, catalog {settings.catalog_url}"))
    findings += [_home(settings.home), _disk_space(settings.home), _writer(settings.home), landing(settings.home)]
    findings += _probe_services(settings, deadline)
    secrets = _secrets(settings)
    return [replace(f, detail=_redact(f.detail, secrets), fix=_redact(f.fix, secrets)) for f in findings]


def _probe_services(settings: Settings, deadline: float) -> list[Finding]:
    """Run the checks of log, catalog and store at the same time; a check that is not done at the deadline fails."""
    from pipelines.operations.doctor_log import log
    from pipelines.operations.doctor_store import catalog, store

    probes: Mapping[str, Probe] = {"log": log, "catalog": catalog, "store": store}
    findings: dict[str, list[Finding]] = {name: [] for name in probes}

    def work(name: str, probe: Probe) -> None:
        try:
            for finding in probe(settings):
                findings[name].append(finding)
        except LakehouseError as error:
            findings[name].append(Finding(name, "fail", str(error)))
        except Exception as error:  # an unexpected error becomes a finding
            message = f"{type(error).__name__}: {error}".splitlines()[0]
            findings[name].append(Finding(name, "fail", message, "this is a bug of animeverse: report it"))

    threads = {
        name: threading.Thread(target=work, args=(name, probe), name=f"doctor-{name}", daemon=True)
        for name, probe in probes.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            what = "no answer to the remaining checks" if findings[name] else "no answer"
            fix = "check that it is running and that its address is right"
            findings[name] = [*findings[name], Finding(name, "fail", f"{what} within {PROBE_TIMEOUT:.0f} s", fix)]
    return [finding for name in probes for finding in findings[name]]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if tuple(sys.version_info) < _OLDEST_PYTHON:
        return Finding("python", "fail", version, "expected 3.11 or newer: make PYTHON=python3.12 install")
    return Finding("python", "ok", version)


def _packages() -> Finding:
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in metadata.requires("animeverse") or []]
    except metadata.PackageNotFoundError:
        return Finding("packages", "warn", "animeverse itself is not installed", "`make install`")
    faults, count = [], 0
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            faults.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{requirement.name} is {version}, expected {requirement.specifier}")
    if faults:
        return Finding("packages", "fail", "; ".join(faults), "`make install` installs the locked versions")
    return Finding("packages", "ok", f"{count} as expected")


def _home(home: Path) -> Finding:
    try:
        probe_folder(home)
    except OSError as error:
        fix = "make this user its owner (chown), or set ANIMEVERSE_HOME to another folder"
        return Finding("home", "fail", f"{home} cannot be written: {error.strerror}", fix)
    return Finding("home", "ok", f"{home}" + ("" if home.exists() else " (created by the first command that writes)"))


def _disk_space(home: Path) -> Finding:
    free = shutil.disk_usage(nearest(home)).free
    detail = f"{free / 10**9:.1f} GB free"
    fix = "free some space (`animeverse maintain` deletes what is no longer needed), or move ANIMEVERSE_HOME"
    if free < MIN_FREE_BYTES:
        return Finding("disk", "fail", detail, fix)
    if free < RECOMMENDED_FREE_BYTES:
        return Finding("disk", "warn", detail, fix)
    return Finding("disk", "ok", detail)


def _writer(home: Path) -> Finding:
    """Whether a run holds the home's lock. Does not create the lock file."""
    try:
        handle = os.open(home / "run.lock", os.O_RDONLY)
    except OSError:
        return Finding("writer", "ok", "no run holds the home")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        return Finding("writer", "warn", f"pid {pid} is writing to this home", "stop it before you start another run")
    finally:
        os.close(handle)
    return Finding("writer", "ok", "no run holds the home")


def _secrets(settings: Settings) -> list[str]:
    """Return the values to remove from all texts, the longest first."""
    properties = {**settings.kafka, **settings.s3, **settings.catalog}
    secrets = {value for name, value in properties.items() if len(value) > 2 and not _PUBLIC_PROPERTIES.search(name)}
    return sorted(secrets, key=len, reverse=True)


def _redact(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    text = " ".join(text.split()).partition("; then run the command again")[0]
    return re.sub(r"//[^/@\s]*@", "//***@", text)
