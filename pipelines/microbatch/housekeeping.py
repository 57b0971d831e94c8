"""Snapshot expiry and background maintenance while a run is under way."""

from collections.abc import Iterable, Sequence

from pipelines.lake.catalog import LakeTable
from pipelines.maintenance.background import BackgroundMaintenance, OwnedTable
from pipelines.microbatch.context import RunContext
from pipelines.microbatch.gold_stage import GoldStage
from pipelines.microbatch.observers import Observers


class Housekeeping:
    """Maintains the tables that the loop's thread owns, and gold. Loop's thread only.

    `shared` are the tables of quarantine and ledger, `silver` the ones that gold reads; set them once they are open.
    """

    def __init__(
        self, context: RunContext, maintenance: BackgroundMaintenance, gold: GoldStage | None, observers: Observers
    ) -> None:
        self._context, self._maintenance, self._gold, self._observers = context, maintenance, gold, observers
        self.shared: Sequence[LakeTable] = ()
        self.silver: Sequence[LakeTable] = ()

    def expire(self) -> None:
        """Expire some snapshots. Silver keeps the ones that gold reads on from, and waits while a refresh runs."""
        self._maintenance.expire(self.shared)
        self._maintenance.expire(self._observers.tables())
        if self._gold is not None and (pinned := self._gold.pinned_snapshots()) is not None:
            self._maintenance.expire(self.silver, pinned)

    def step(self, bronze: Iterable[OwnedTable] = ()) -> None:
        """Do a piece of maintenance, on `bronze` or the own tables, unless gold has work or the run is stopped."""
        if self._context.stop.is_set():
            return
        if self._gold is not None and (self._gold.is_busy or self._gold.start_deferred()):
            return
        own = (*self.shared, *self.silver, *self._observers.tables())
        self._maintenance.step([*bronze, *(OwnedTable(table, lambda work: work()) for table in own)])
