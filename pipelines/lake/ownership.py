"""Which catalog owns a lake root (R51).

A lake id is stored in the lake root (`animeverse-lake.json`), in the catalog (a property of the namespace `ops`) and
in every table (property `animeverse.lake-id`). `examine` compares them and changes nothing. Writers call `claim`,
which writes the id where a new lake begins and refuses where the root belongs to another catalog, where the catalog
was lost, or where this is a copy of another lake.
"""

import json
import platform
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path

import pyarrow.fs as pafs
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchNamespaceError
from pyiceberg.io.pyarrow import PyArrowFileIO
from sqlalchemy import text

from pipelines.errors import OwnershipError
from pipelines.fault_points import fault_point
from pipelines.lake.commits import LAKE_ID, translate_store_errors
from pipelines.lake.relocation import local_path, location_of, root_of

OWNER_FILE = "animeverse-lake.json"
_NAMESPACE = "ops"
_OUR_NAMESPACES = ("bronze", "silver", "ops")


class State(Enum):
    """How catalog and lake root belong together."""

    NEW = "new"  # neither has anything
    OWNED = "owned"  # both carry the same id and all tables are below the root
    UNMARKED = "unmarked"  # tables of an older version, below the root, without an id
    MOVED = "moved"  # the tables' paths are below a root that is gone: the folder was moved or restored
    COPIED = "copied"  # the tables' paths are below a root that still exists and belongs to the same lake
    LOST = "lost"  # the root has tables and the catalog has none
    FOREIGN = "foreign"  # the root belongs to another catalog
    ELSEWHERE = "elsewhere"  # the tables are below another root, and this root has none


@dataclass(frozen=True, slots=True)
class Owner:
    """Contents of the owner file. `catalog` is the catalog's address, `host` the machine that wrote it."""

    lake_id: str
    root: str
    catalog: str
    host: str
    was: str | None = None  # the id before a relocation that may be unfinished


@dataclass(frozen=True, slots=True)
class Ownership:
    """What `examine` found. `old_root` is the root that the tables' paths name, where it is not this one."""

    state: State
    root: str
    catalog: str
    lake_id: str | None = None
    owner: Owner | None = None
    old_root: str | None = None

    def refusal(self) -> str | None:
        """Why this catalog may not write to the root, and the ways on; None where it may."""
        match self.state:
            case State.COPIED:
                return (
                    f"the lake in {self.root} is a copy: its tables' paths name {self.old_root}, which still exists "
                    "and belongs to "
                    "the same lake. Nothing was changed. Reading works; to write, make this copy independent by "
                    "`animeverse relocate`."
                )
            case State.LOST:
                return (
                    f"{self.root} holds the tables of a lake, but the catalog {self.catalog} knows none of them: the"
                    " catalog is "
                    "missing, empty or another one. Nothing was changed. Restore the catalog from a backup; or "
                    "register the "
                    "tables from their newest metadata by `animeverse repair --catalog`; or start over by "
                    "`animeverse run --new`, which "
                    "keeps the old files under another name."
                )
            case State.FOREIGN:
                other = self.owner.catalog if self.owner is not None else "another one"
                return (
                    f"{self.root} belongs to the catalog {other}, and this is {self.catalog}. Two catalogs over one "
                    "lake root "
                    "delete each other's files. Nothing was changed. Set ANIMEVERSE_LAKE_ROOT to a root of its own "
                    "(`animeverse migrate` "
                    "copies the tables); or, where the other catalog is gone for good, take the lake over by "
                    "`animeverse relocate`."
                )
            case State.ELSEWHERE:
                return (
                    f"the tables of the catalog {self.catalog} are in {self.old_root}, and ANIMEVERSE_LAKE_ROOT is "
                    f"{self.root}, which "
                    "has none. Nothing was changed. Set ANIMEVERSE_LAKE_ROOT back, move the files there, or copy "
                    "the tables by "
                    "`animeverse migrate`."
                )
            case _:
                return None


class LakeRoot:
    """The lake root in its store: the owner file, and whether there are tables."""

    def __init__(self, root: str, properties: Mapping[str, str]) -> None:
        self.root = root if "://" in root else str(Path(root).absolute())
        io = PyArrowFileIO(dict(properties))
        scheme, netloc, self._path = io.parse_location(self.location, io.properties)
        self._filesystem = io.fs_by_scheme(scheme, netloc)

    @property
    def location(self) -> str:
        """As Iceberg metadata writes it."""
        return self.root if "://" in self.root else f"file://{self.root}"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.location.startswith("file:")

    def owner(self) -> Owner | None:
        """The owner file's contents; None where there is none. Raises OwnershipError where it cannot be read."""
        try:
            with self._filesystem.open_input_stream(f"{self._path}/{OWNER_FILE}") as file:
                return Owner(**json.loads(file.read()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise OwnershipError(
                f"{self.root}/{OWNER_FILE} is damaged ({error}): restore it from a backup, or delete it if no other "
                "catalog uses "
                "this lake root; the next run writes it again."
            ) from error

    def write_owner(self, owner: Owner) -> None:
        """Write the owner file whole, by rename where the store can rename."""
        content = json.dumps(asdict(owner), indent=1).encode()
        if self.is_local:
            folder = Path(self._path)
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".{OWNER_FILE}.{uuid.uuid4().hex}"
            draft.write_bytes(content)
            draft.replace(folder / OWNER_FILE)
            return
        with self._filesystem.open_output_stream(f"{self._path}/{OWNER_FILE}") as file:
            file.write(content)

    def has_tables(self) -> bool:
        """Whether folders of our namespaces exist and hold anything."""
        for namespace in _OUR_NAMESPACES:
            selector = pafs.FileSelector(f"{self._path}/{namespace}", allow_not_found=True)
            if self._filesystem.get_file_info(selector):
                return True
        return False


def table_folders(root: Path) -> list[tuple[str, str, Path]]:
    """(namespace, table, folder) of every table folder in a local lake root."""
    return [
        (namespace, folder.name, folder)
        for namespace in _OUR_NAMESPACES
        for folder in sorted((root / namespace).glob("*"))
        if (folder / "metadata").is_dir()
    ]


def table_locations(catalog: Catalog) -> dict[tuple[str, str], str]:
    """(namespace, table) -> location of the metadata file, without opening any of them where the catalog is SQL."""
    if isinstance(catalog, SqlCatalog):
        with catalog.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "select table_namespace, table_name, metadata_location from iceberg_tables where catalog_name ="
                    " :name"
                ),
                {"name": catalog.name},
            ).all()
        return {(namespace, name): location for namespace, name, location in rows}
    found = {}
    for namespace in catalog.list_namespaces():
        with suppress(NoSuchNamespaceError):
            for identifier in catalog.list_tables(namespace):
                found[".".join(identifier[:-1]), identifier[-1]] = catalog.load_table(identifier).metadata_location
    return found


def catalog_lake_id(catalog: Catalog) -> str | None:
    """The lake id in the catalog; None where it has none."""
    try:
        found: str | None = catalog.load_namespace_properties(_NAMESPACE).get(LAKE_ID)
    except NoSuchNamespaceError:
        return None
    return found


def set_catalog_lake_id(catalog: Catalog, lake_id: str) -> None:
    """Store the lake id in the catalog; repeating it changes nothing."""
    with suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace(_NAMESPACE, {LAKE_ID: lake_id})
    if catalog_lake_id(catalog) != lake_id:
        catalog.update_namespace_properties(_NAMESPACE, updates={LAKE_ID: lake_id})


def examine(catalog: Catalog, address: str, root: LakeRoot) -> Ownership:
    """Compare catalog and lake root; nothing is changed. Raises StoreUnavailableError, OwnershipError."""
    with translate_store_errors(f"reading the owner of {root.root}"):
        owner, lake_id, tables = root.owner(), catalog_lake_id(catalog), table_locations(catalog)
        found = Ownership(State.NEW, root.root, address, lake_id, owner)
        if not tables:
            return replace(found, state=_state_without_tables(found, root))
        old = _other_root(tables, root)
        if old is not None:
            return replace(found, state=_state_away(found, root, old), old_root=local_path(old).as_posix())
        return replace(found, state=_state_at_home(found, root))


def _state_without_tables(found: Ownership, root: LakeRoot) -> State:
    if found.owner is None:
        return State.LOST if root.has_tables() else State.NEW
    if found.lake_id == found.owner.lake_id and _is_ours(found, root):
        return State.OWNED  # a first run that was interrupted while it created tables
    return State.LOST if found.lake_id is None and _is_ours(found, root) and root.has_tables() else State.FOREIGN


def _state_at_home(found: Ownership, root: LakeRoot) -> State:
    if found.owner is None:
        return State.UNMARKED
    if found.lake_id not in (None, found.owner.lake_id, found.owner.was):
        return State.FOREIGN
    if found.lake_id is None or not _is_ours(found, root):
        return State.FOREIGN
    return State.OWNED if found.lake_id == found.owner.lake_id else State.UNMARKED


def _state_away(found: Ownership, root: LakeRoot, old: str) -> State:
    if found.owner is None and not root.has_tables():
        return State.ELSEWHERE
    if found.owner is not None and found.lake_id not in (None, found.owner.lake_id, found.owner.was):
        return State.FOREIGN
    if found.owner is not None and found.owner.was is not None and found.lake_id == found.owner.was:
        return State.MOVED  # a relocation that was interrupted
    return State.COPIED if _lives(old, found) else State.MOVED


def _lives(old: str, found: Ownership) -> bool:
    """Whether the lake is still at its old root, too."""
    if not old.startswith(("file:", "/")):
        return True  # a store keeps what it has
    path = local_path(old)
    if not path.is_dir():
        return False
    try:
        there = Owner(**json.loads((path / OWNER_FILE).read_bytes()))
    except FileNotFoundError:
        return found.owner is None and any((path / namespace).is_dir() for namespace in _OUR_NAMESPACES)
    except (OSError, ValueError, TypeError):
        return True
    return found.owner is None or there.lake_id in (found.lake_id, found.owner.lake_id, found.owner.was)


def _is_ours(found: Ownership, root: LakeRoot) -> bool:
    """Whether the owner file names this catalog, or one that is gone from this machine (then the home was moved)."""
    assert found.owner is not None
    if found.owner.catalog == found.catalog:
        return True
    theirs, ours = (_catalog_file(address) for address in (found.owner.catalog, found.catalog))
    if theirs is None or ours is None:
        return False
    if theirs.exists():
        return theirs.samefile(ours) if ours.exists() else False
    return root.is_local or found.owner.host == host_name()


def _catalog_file(address: str) -> Path | None:
    return Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None


def _other_root(tables: Mapping[tuple[str, str], str], root: LakeRoot) -> str | None:
    """The root that tables' paths name where it is not this one."""
    for (namespace, name), metadata in sorted(tables.items()):
        if metadata.startswith((f"{root.location}/", f"{root.root}/")):
            continue
        location = location_of(metadata)
        old = root_of(location, namespace, name) or location
        if root.is_local and old.startswith(("file:", "/")):
            with suppress(OSError):
                if local_path(old).samefile(root.root):
                    continue  # another name of the same folder
        if root.is_local or old != root.location.replace("s3a://", "s3://"):
            return old
    return None


def claim(catalog: Catalog, found: Ownership, root: LakeRoot) -> str:
    """Write the lake id wherever it is missing; the id. Raises OwnershipError, with nothing changed.

    The catalog gets it first, then the owner file. A crash in between is found by the next call, which writes the file.
    """
    if (reason := found.refusal()) is not None:
        raise OwnershipError(reason)
    lake_id = found.lake_id or (found.owner.lake_id if found.owner is not None else uuid.uuid4().hex)
    with translate_store_errors(f"writing the owner of {root.root}"):
        if found.lake_id != lake_id:
            set_catalog_lake_id(catalog, lake_id)
            fault_point("lake.id_in_catalog")
        wanted = Owner(lake_id, root.root, found.catalog, host_name())
        if found.owner != wanted:
            root.write_owner(wanted)
    return lake_id


def host_name() -> str:
    """This machine's name, for the owner file."""
    return platform.node()
