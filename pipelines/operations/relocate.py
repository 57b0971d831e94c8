"""`animeverse relocate`: makes a moved or copied home a lakehouse of its own (R51).

For each table, metadata with the paths of this home is written beside the old one; then one transaction of the
catalog names all of them. Rows, snapshot ids and checkpoints stay the same. A copy gets a lake id of its own.
Interrupted, the command is repeated: until the transaction the old metadata is in force. The lake that the tables
came from is never opened.
"""

import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.config.settings import Settings
from pipelines.errors import OwnershipError
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake
from pipelines.lake.open_lake import examine_lake, id_of_moved, relocate_lake
from pipelines.lake.ownership import State


@dataclass(frozen=True, slots=True)
class Relocated:
    """What was done: `state` is what was found before, `tables` counts tables with new paths."""

    state: str
    lake_id: str
    lake_root: str
    old_root: str | None
    tables: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def relocate(settings: Settings, say: Callable[[str], None] = lambda text: None) -> Relocated:
    """Make the home's lake its own. Where it is already, nothing changes.

    Raises OwnershipError where the lake belongs to another catalog, NoLakehouseError, AlreadyRunningError,
    StoreUnavailableError.
    """
    with home_lock(settings.home), home_lock(settings.home, "release"), closing(Lake.open(settings)) as lake:
        found = examine_lake(lake, settings)
        match found.state:
            case State.MOVED:
                lake_id = id_of_moved(found)
            case State.COPIED:
                lake_id = uuid.uuid4().hex
            case State.FOREIGN if found.owner is not None and found.owner.lake_id == found.lake_id:
                lake_id = found.owner.lake_id  # the same lake, known to another catalog until now
            case _:
                if (reason := found.refusal()) is not None:
                    raise OwnershipError(reason)
                lake_id = found.lake_id or ""
                return Relocated(found.state.value, lake_id, settings.lake_root, None, 0)
        tables = relocate_lake(lake, found, lake_id, say)
        return Relocated(found.state.value, lake_id, settings.lake_root, found.old_root, tables)
