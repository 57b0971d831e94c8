"""`animeverse relocate`: a moved or copied home becomes a lakehouse of its own, gold included."""

from collections.abc import Callable
from contextlib import closing

from pipelines.config.settings import Settings
from pipelines.operations.relocate import Relocated
from pipelines.operations.relocate import relocate as relocate_lake
from warehouse.storage.writer_file import WORK
from warehouse.writer import Warehouse


def relocate(settings: Settings, say: Callable[[str], None] = lambda text: None) -> Relocated:
    """Give the lake's tables and gold's closed days the paths of this home.

    Raises OwnershipError where the lake belongs to another catalog, NoLakehouseError, AlreadyRunningError,
    StoreUnavailableError.
    """
    done = relocate_lake(settings, say)
    gold = settings.home / "gold"
    if (gold / WORK).exists():
        with closing(Warehouse(gold)):  # opening publishes a warehouse that was moved
            pass
    return done
