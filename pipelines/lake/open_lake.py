"""Opens a lake for writing, or a moved or copied one for reading (R51).

Every command that writes opens the lake by `open_for_writing`: it compares the lake id of catalog and lake root,
gives a moved home's tables their new paths, and refuses where another catalog owns the root or the catalog was lost.
`reading_copy` shows the tables of a lake whose paths are no longer right, without writing to it.
"""

import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import text

from pipelines.config.settings import Settings
from pipelines.duckdb_sandbox import connect, literal
from pipelines.errors import NoLakehouseError, OwnershipError
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import CATALOG_NAME, Lake
from pipelines.lake.commits import KEY_PREFIX, LAKE_ID, translate_store_errors
from pipelines.lake.open_catalog import open_catalog
from pipelines.lake.ownership import (
    LakeRoot,
    Owner,
    Ownership,
    State,
    claim,
    examine,
    host_name,
    set_catalog_lake_id,
    table_locations,
)
from pipelines.lake.relocation import Relocation

Say = Callable[[str], None]


def lake_root(settings: Settings, catalog: Mapping[str, str] | None = None) -> LakeRoot:
    """The lake root of the settings, in its store. `catalog` are properties that a REST catalog adds, such as keys."""
    return LakeRoot(settings.lake_root, {**(catalog or {}), **settings.s3})


def examine_lake(lake: Lake, settings: Settings) -> Ownership:
    """Whether the catalog owns the lake root; nothing is changed."""
    return examine(lake.catalog, settings.catalog_url, lake_root(settings, lake.catalog.properties))


def open_for_reading(settings: Settings) -> Lake:
    """The lake, for reading; with the right paths where a local lake was moved or copied. Creates nothing."""
    lake = Lake.open(settings)
    if settings.catalog_path is not None and "://" not in settings.lake_root:
        try:
            found = examine_lake(lake, settings)
        except BaseException:
            lake.close()
            raise
        if found.state in (State.MOVED, State.COPIED):
            return reading_copy(lake, found)
    return lake


def open_lakehouse(settings: Settings) -> Lake:
    """The lake, for reading.

    Raises NoLakehouseError if nothing has been written yet, OwnershipError if its catalog was lost.
    """
    refuse_missing(settings)
    lake = open_for_reading(settings)
    if not any(name.startswith("bronze.") for name in lake.names()):
        lake.close()
        _refuse_lost(settings)
        raise NoLakehouseError(f"the catalog {settings.catalog_url} has no bronze tables yet: try `animeverse demo`")
    return lake


def open_existing_for_writing(settings: Settings, *, may_relocate: bool = True, say: Say = lambda text: None) -> Lake:
    """As `open_for_writing`, of a lake that exists.

    Raises NoLakehouseError where there is none, and then creates nothing.
    """
    refuse_missing(settings)
    lake = open_for_writing(settings, may_relocate=may_relocate, say=say)
    if not any(name.startswith("bronze.") for name in lake.names()):
        lake.close()
        raise NoLakehouseError(f"the catalog {settings.catalog_url} has no bronze tables yet: try `animeverse demo`")
    return lake


def refuse_missing(settings: Settings) -> None:
    """Raise NoLakehouseError, or OwnershipError if it was lost, where the SQLite catalog does not exist.

    Creates nothing.
    """
    if settings.is_catalog_missing:
        _refuse_lost(settings)
        raise NoLakehouseError(f"there is no lakehouse in {settings.home} yet: try `animeverse demo`")


def _refuse_lost(settings: Settings) -> None:
    """Raise OwnershipError where the lake root holds tables though the catalog has none."""
    root = lake_root(settings)
    with translate_store_errors(f"reading {root.root}"):
        if root.has_tables():
            raise OwnershipError(Ownership(State.LOST, root.root, settings.catalog_url).refusal())


def open_for_writing(
    settings: Settings, *, new: bool = False, may_relocate: bool = True, say: Say = lambda text: None
) -> Lake:
    """The lake, owned by this catalog. The caller holds the home's lock.

    With `new`, a lake whose catalog was lost is set aside under another name and a new one begins. Raises
    OwnershipError with nothing changed where this catalog may not write, StoreUnavailableError.
    """
    lake = Lake.open(settings)
    try:
        found = examine_lake(lake, settings)
        if new and found.state is State.LOST:
            _set_aside(Path(_local(settings, found)), say)
            found = examine_lake(lake, settings)
        if found.state is State.NEW:
            _refuse_or_set_aside_gold(settings, found, new=new, say=say)
        if found.state is State.MOVED:
            if not may_relocate:
                raise OwnershipError(
                    f"the lake was moved here from {found.old_root}: give its tables their new paths by `animeverse "
                    "relocate` first"
                )
            say(f"the lake was moved here from {found.old_root}: its tables get their new paths")
            relocate_lake(lake, found, id_of_moved(found))
            found = examine_lake(lake, settings)
        lake.lake_id = claim(lake.catalog, found, lake_root(settings, lake.catalog.properties))
        if found.state is State.UNMARKED:
            _mark_tables(lake)
    except BaseException:
        lake.close()
        raise
    return lake


def own_lake(lake: Lake, settings: Settings) -> str:
    """Claim the lake root for this catalog; the lake id. Raises OwnershipError where another one owns it."""
    return claim(lake.catalog, examine_lake(lake, settings), lake_root(settings, lake.catalog.properties))


def id_of_moved(found: Ownership) -> str:
    """The lake id after a relocation of a moved lake: its own, or that of an interrupted relocation of a copy."""
    if found.owner is not None and found.owner.was is not None:
        return found.owner.lake_id
    return found.lake_id or uuid.uuid4().hex


def relocate_lake(lake: Lake, found: Ownership, lake_id: str, say: Say = lambda text: None) -> int:
    """Give all tables the paths of this lake root and this lake id, in one transaction of the catalog; their number.

    The owner file is written before, with the id it replaces: so a crash in between is an unfinished relocation and
    no foreign lake.
    """
    if not isinstance(lake.catalog, SqlCatalog):
        raise OwnershipError(
            f"{lake.properties['uri']} is a REST catalog: its tables can't be relocated from here. Copy them by "
            "`animeverse migrate`."
        )
    root = LakeRoot(found.root, lake.properties)
    tables = table_locations(lake.catalog)
    located: dict[tuple[str, str], str] = {}
    if found.old_root is not None:
        relocation = Relocation(f"file://{found.old_root}", root.location)
        for (namespace, name), metadata in tables.items():
            say(f"relocating {namespace}.{name}")
            located[namespace, name] = relocation.relocated(metadata, properties={LAKE_ID: lake_id})
    fault_point("lake.metadata_relocated")
    with translate_store_errors(f"relocating {found.root}"):
        was = found.lake_id if found.lake_id != lake_id else None
        root.write_owner(Owner(lake_id, found.root, found.catalog, host_name(), was))
        fault_point("lake.owner_written")
        with lake.catalog.engine.begin() as connection:
            for (namespace, name), metadata in located.items():
                connection.execute(
                    text(
                        "update iceberg_tables set previous_metadata_location = metadata_location, "
                        "metadata_location = :new"
                        " where catalog_name = :catalog and table_namespace = :namespace and table_name = :name"
                    ),
                    {"new": metadata, "catalog": lake.catalog.name, "namespace": namespace, "name": name},
                )
            connection.execute(
                text(
                    "update iceberg_namespace_properties set property_value = :id"
                    " where catalog_name = :catalog and namespace = 'ops' and property_key = :key"
                ),
                {"id": lake_id, "catalog": lake.catalog.name, "key": LAKE_ID},
            )
        set_catalog_lake_id(lake.catalog, lake_id)  # a lake of an older version has no row to update
        fault_point("lake.relocated")
        root.write_owner(Owner(lake_id, found.root, found.catalog, host_name()))
    return len(located)


def reading_copy(lake: Lake, found: Ownership) -> Lake:
    """The tables of a moved or copied lake, for reading: metadata with the right paths in a temporary folder.

    The given lake is closed. The folder is removed when the returned one is closed. Nothing is written to the lake.
    """
    assert found.old_root is not None
    folder = tempfile.TemporaryDirectory(prefix="animeverse-reading-")
    try:
        relocation = Relocation(f"file://{found.old_root}", LakeRoot(found.root, lake.properties).location)
        properties = {**lake.properties, "type": "sql", "uri": f"sqlite:///{folder.name}/catalog.db"}
        catalog = open_catalog(CATALOG_NAME, properties)
        for (namespace, name), metadata in table_locations(lake.catalog).items():
            copy = relocation.relocated(metadata, Path(folder.name, namespace, name))
            catalog.create_namespace_if_not_exists(namespace)
            catalog.register_table(f"{namespace}.{name}", copy)
    except BaseException:
        folder.cleanup()
        raise
    finally:
        lake.close()
    return Lake(catalog, properties, on_close=folder.cleanup)


def _mark_tables(lake: Lake) -> None:
    for name in lake.names():
        table = lake.find(name)
        if table is not None and table.lake_id != lake.lake_id:
            table.set_properties({LAKE_ID.removeprefix(KEY_PREFIX): lake.lake_id or ""})


def _refuse_or_set_aside_gold(settings: Settings, found: Ownership, *, new: bool, say: Say) -> None:
    """Refuse where the home says that there was a lake: gold reflects silver, or landing files were ingested."""
    done = settings.home / "landing" / "_done"
    ingested = done.is_dir() and not done.is_symlink() and any(path.is_file() for path in done.glob("*/*"))
    traces = [settings.published_path] if _reflects_silver(settings.published_path) else [done] if ingested else []
    if not traces:
        return
    if not new:
        raise OwnershipError(
            f"catalog {found.catalog} and lake root {found.root} are empty, but {traces[0]} was made from an earlier"
            " lake: they are "
            "missing or set to other places. Nothing was changed. Restore both from a backup, or correct "
            "ANIMEVERSE_CATALOG_URL and "
            "ANIMEVERSE_LAKE_ROOT; or start over by `animeverse run --new`, which keeps the old gold under another "
            "name."
        )
    if (settings.home / "gold").exists():
        _set_aside(settings.home / "gold", say)


def _reflects_silver(published: Path) -> bool:
    """Whether the published gold was made from silver rows, or cannot be read; False where there is none."""
    if not published.exists():
        return False
    try:
        with connect() as connection:
            connection.execute(f"attach {literal(str(published))} as published (read_only)")
            made = "select count(*) from published.gold.refreshes where cardinality(silver_snapshots) > 0"
            return connection.execute(made).fetchall() != [(0,)]
    except duckdb.Error:
        return True


def _local(settings: Settings, found: Ownership) -> str:
    if "://" in settings.lake_root:
        raise OwnershipError(
            f"{found.root} can't be set aside in an object store: set ANIMEVERSE_LAKE_ROOT to an empty prefix."
        )
    return settings.lake_root


def _set_aside(path: Path, say: Say) -> None:
    number = 1
    while (target := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(target)
    say(f"{path} is kept as {target.name}")
