"""`animeverse repair --catalog`: registers the tables of a lake whose catalog was lost, from their newest metadata.

A commit writes data files, manifests and a metadata file, and only then names the metadata file in the catalog. So
the newest metadata file of a table is its last commit, or one that was interrupted right before the end; all that it
names is there. A metadata file that is damaged or names missing files is passed over for the one before. Nothing in
the lake is changed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.config.settings import Settings
from pipelines.errors import OwnershipError, UsageError
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake
from pipelines.lake.open_lake import examine_lake, own_lake
from pipelines.lake.ownership import State, set_catalog_lake_id, table_folders
from pipelines.lake.relocation import with_own_paths
from pipelines.lake.whole_metadata import fault_of


@dataclass(frozen=True, slots=True)
class Registered:
    """One table: the metadata file it was registered from (None: no whole one exists), and newer ones that were passed
    over."""

    table: str
    metadata: str | None
    passed_over: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def repair_catalog(settings: Settings, say: Callable[[str], None] = lambda text: None) -> list[Registered]:
    """Register all tables in the lake root; [] where the catalog has its tables. Interrupted, the command is repeated.

    Raises OwnershipError where the lake belongs to another catalog, UsageError for an object store,
    AlreadyRunningError.
    """
    if "://" in settings.lake_root or settings.catalog_path is None:
        raise UsageError(
            "repair --catalog works on a local lake root and catalog: restore other catalogs from a backup"
        )
    with home_lock(settings.home), home_lock(settings.home, "release"), closing(Lake.open(settings)) as lake:
        found = examine_lake(lake, settings)
        if found.state is not State.LOST:
            if (reason := found.refusal()) is not None:
                raise OwnershipError(reason)
            return []
        done, located = [], {}
        for namespace, name, folder in table_folders(Path(settings.lake_root)):
            say(f"looking for the newest metadata of {namespace}.{name}")
            passed_over: list[str] = []
            metadata = None
            for path in _newest_first(folder):
                if fault_of(path) is None:
                    metadata = path
                    break
                passed_over.append(path.name)
            done.append(Registered(f"{namespace}.{name}", metadata.name if metadata else None, tuple(passed_over)))
            if metadata is not None:
                located[f"{namespace}.{name}"] = with_own_paths(metadata, namespace, name)
        _write_catalog(settings, located, found.owner.lake_id if found.owner is not None else None)
        with closing(Lake.open(settings)) as repaired:
            if examine_lake(repaired, settings).refusal() is None:
                own_lake(repaired, settings)
        return done


def _write_catalog(settings: Settings, located: Mapping[str, str], lake_id: str | None) -> None:
    """Replace the empty catalog by one with these tables, by rename: a catalog with some of them never exists."""
    path = settings.catalog_path
    assert path is not None
    draft = path.with_name(f"{path.name}.repairing")
    draft.unlink(missing_ok=True)
    with closing(Lake.open(settings.model_copy(update={"catalog_url": f"sqlite:///{draft}"}))) as lake:
        for name, metadata in located.items():
            lake.register(name, metadata)
        if lake_id is not None:
            set_catalog_lake_id(lake.catalog, lake_id)
    fault_point("repair.registered")
    draft.replace(path)


def _newest_first(folder: Path) -> Iterator[Path]:
    """Metadata files by their number, the newest of equal numbers first."""
    files = folder.glob("metadata/*.metadata.json")
    yield from sorted(files, key=lambda path: (path.name.split("-")[0], path.stat().st_mtime_ns), reverse=True)
