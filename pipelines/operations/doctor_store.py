"""Checks of `animeverse doctor` for the catalog and the store."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipelines.config.settings import Settings
from pipelines.errors import LakehouseError, PermanentError
from pipelines.lake.ownership import Ownership, State
from pipelines.operations.doctor_finding import Finding, probe_folder


def catalog(settings: Settings) -> Iterator[Finding]:
    """The catalog is reachable, accepts the credentials, and contains no unfinished migration."""
    path = settings.catalog_path
    if path is not None:
        fault = _sqlite_fault(path)
        if fault is not None:
            fix = "move the file away, or set ANIMEVERSE_CATALOG_URL to another one"
            yield Finding("catalog", "fail", fault, fix)
            return
        if not path.exists():
            yield Finding("catalog", "ok", f"{path} is created by the first run")
            return
    from pipelines.lake.catalog import Lake, refuse_unfinished
    from pipelines.lake.open_lake import examine_lake

    try:
        with closing(Lake.open(settings)) as lake:
            names = lake.names()
            refuse_unfinished(lake)
            owner = examine_lake(lake, settings)
    except PermanentError as error:
        yield Finding("catalog", "fail", str(error), "repeat the same `animeverse migrate`")
    except LakehouseError as error:
        fix = "check that it is running, its address ANIMEVERSE_CATALOG_URL and the credentials ANIMEVERSE_CATALOG_…"
        yield Finding("catalog", "fail", str(error), fix)
    else:
        yield Finding("catalog", "ok", f"{settings.catalog_url} answers: {len(names)} tables")
        yield _owner(owner)


def _owner(found: Ownership) -> Finding:
    """Whether the catalog may write to the lake root (R51)."""
    if (reason := found.refusal()) is not None:
        return Finding("owner", "fail", reason)
    if found.state is State.MOVED:
        detail = f"the lake was moved here from {found.old_root}"
        return Finding("owner", "warn", detail, "the next run relocates it; or do so now: `animeverse relocate`")
    return Finding("owner", "ok", f"lake {found.lake_id[:8] if found.lake_id else 'without an id yet'} in {found.root}")


def _sqlite_fault(path: Path) -> str | None:
    """Return why a file cannot be the SQLite catalog, or None if it can or can be created. Does not change it."""
    if not path.exists():
        try:
            probe_folder(path.parent)
        except OSError as error:
            return f"{path} cannot be created: {error.strerror}"
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)) as connection:
            connection.execute("select count(*) from iceberg_tables").fetchall()
    except sqlite3.Error as error:
        return f"{path} is no Iceberg catalog: {error}"
    return None


def store(settings: Settings) -> Iterator[Finding]:
    """A file can be written, read and deleted, and a second exclusive creation fails."""
    root = settings.lake_root
    if "://" not in root:
        try:
            probe_folder(Path(root))
        except OSError as error:
            fix = "make this user its owner (chown), or set ANIMEVERSE_LAKE_ROOT to another folder"
            yield Finding("store", "fail", f"{root} cannot be written: {error.strerror}", fix)
        else:
            yield Finding("store", "ok", f"{root}: written, read, deleted")
        return
    from pipelines.lake.probe import probe_store

    try:
        probe_store(settings)
    except LakehouseError as error:
        fix = (
            "check that it is running, its address, keys and permissions (AWS_… or ANIMEVERSE_S3_…), and that the "
            "bucket exists"
        )
        yield Finding("store", "fail", str(error), fix)
        return
    if "s3.region" in settings.s3:
        yield Finding("store", "ok", f"{root}: written, read, deleted")
    else:
        detail = f"{root}: written, read, deleted; but no region is set, so AWS is asked for it"
        yield Finding("store", "warn", detail, "set AWS_REGION to the bucket's")
    yield _conditional_write(settings)


def _conditional_write(settings: Settings) -> Finding:
    """The store refuses a second writer of one key."""
    from pipelines.lake.probe import writes_only_once

    name = "store: conditional write"
    is_refused = writes_only_once(settings)
    if is_refused is None:
        return Finding(name, "ok", "not tried: the settings hold no keys, a profile or a role is used instead")
    if is_refused:
        return Finding(name, "ok", "a second writer of one key is refused")
    fix = "animeverse does not need it, since its catalog decides who commits; other programs may rely on it"
    return Finding(name, "warn", "If-None-Match is ignored: a second writer wins", fix)
