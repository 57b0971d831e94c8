"""What `animeverse doctor` asks the catalog and the store."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipelines.config.settings import Settings
from pipelines.errors import LakehouseError, PermanentError
from pipelines.operations.doctor_finding import Finding, probe_folder

_ADDRESS = "see that it runs, and check ANIMEVERSE_CATALOG_URL and who you are (ANIMEVERSE_CATALOG_…)"


def catalog(settings: Settings) -> Iterator[Finding]:
    """It can be reached, knows us, and no migration into it was left half done."""
    path = settings.catalog_path
    if path is not None:
        fault = _sqlite_fault(path)
        if fault is not None or not path.exists():
            mend = "move the file away, or name another by ANIMEVERSE_CATALOG_URL"
            yield (
                Finding("catalog", "fail", fault, mend)
                if fault
                else Finding("catalog", "ok", f"{path} is made by the first run")
            )
            return
    from pipelines.lake.catalog import Lake, refuse_unfinished

    try:
        with closing(Lake.open(settings)) as lake:
            names = lake.names()
            refuse_unfinished(lake)
    except PermanentError as error:
        yield Finding("catalog", "fail", str(error), "`animeverse migrate`, as before")
    except LakehouseError as error:
        yield Finding("catalog", "fail", str(error), _ADDRESS)
    else:
        yield Finding("catalog", "ok", f"{settings.catalog_url} answers: {len(names)} tables")


def _sqlite_fault(path: Path) -> str | None:
    """What is wrong with a catalog's file, which is not touched; None: nothing, or it is not there and may be made."""
    if not path.exists():
        try:
            probe_folder(path.parent)
        except OSError as error:
            return f"{path} cannot be made: {error.strerror}"
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)) as connection:
            connection.execute("select count(*) from iceberg_tables").fetchall()
    except sqlite3.Error as error:
        return f"{path} is no Iceberg catalog: {error}"
    return None


def store(settings: Settings) -> Iterator[Finding]:
    """A file can be written, read, made once only, and deleted."""
    root = settings.lake_root
    if "://" not in root:
        try:
            probe_folder(Path(root))
        except OSError as error:
            mend = "give it to this user (chown), or name another place by ANIMEVERSE_LAKE_ROOT"
            yield Finding("store", "fail", f"{root} cannot be written: {error.strerror}", mend)
        else:
            yield Finding("store", "ok", f"{root}: written, read, deleted")
        return
    from pipelines.lake.probe import probe_store, writes_only_once

    try:
        probe_store(settings)
    except LakehouseError as error:
        mend = (
            "see that it runs; check address, keys and rights (AWS_… or ANIMEVERSE_S3_…), and that the bucket is there"
        )
        yield Finding("store", "fail", str(error), mend)
        return
    if "s3.region" in settings.s3:
        yield Finding("store", "ok", f"{root}: written, read, deleted")
    else:
        mend = "set AWS_REGION to the bucket's"
        yield Finding(
            "store", "warn", f"{root}: written, read, deleted; but without a region AWS is asked for one", mend
        )
    once = writes_only_once(settings)
    if once is None:
        yield Finding(
            "store: conditional write", "ok", "not tried: no keys are given, or it is behind a profile or a role"
        )
    elif once:
        yield Finding("store: conditional write", "ok", "a second writer of one key is refused")
    else:
        mend = "fine as long as the catalog decides who commits, as here; other programs may rely on it"
        yield Finding("store: conditional write", "warn", "If-None-Match is ignored: a second writer wins", mend)
