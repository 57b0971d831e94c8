"""Observers of a run: they see each micro-batch after silver has committed it, and never stop or change the run."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipelines.errors import LakehouseError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.microbatch.context import RunContext
from pipelines.silver.batch import Outcome


class BatchObserver(Protocol):
    """Sees the outcome of each micro-batch, and may keep tables of its own in the lake.

    All methods are called in the loop's thread, so a slow observer delays silver. An observer must not change the
    outcome.

    Delivery: `committed` is called at most once for a batch. If the process ends, or the observer fails, between the
    commit and the end of that call, the call is not repeated, since silver never processes a committed batch again. A
    batch whose commit did not happen is processed again and then observed. An observer that must see every batch
    records in its own table, in the commit of its rows, the last batch it has seen of each topic (`Outcome.through`).
    `open` tells it how far silver is, and it computes what it lacks from the tables. That makes delivery at least once;
    rows keyed by (topic, `through`) make it exactly once.

    Errors never stop the run. Each is sent to the user as a note. After a LakehouseError the observer is called again
    with the next batch; it has to reload its tables itself. After any other exception, or if `open` fails, it is not
    called again in this attempt. A run with `follow` starts a new attempt, and opens its observers again, after each
    retryable error of its own.
    """

    def open(self, lake: Lake, consumed: Mapping[str, int]) -> None:
        """An attempt begins. `consumed` is the last bronze batch that silver has consumed, by topic.

        Called before the first batch. Tables opened from `lake` are valid until the attempt ends or `open` is called
        again.
        """

    def committed(self, outcome: Outcome) -> None:
        """Silver has committed this outcome: one or more bronze batches of one topic, `through` the last of them."""

    def tables(self) -> Sequence[LakeTable]:
        """The observer's tables, for compaction and snapshot expiry beside the run."""


class Observers:
    """The observers of one attempt, with their errors turned into notes."""

    def __init__(self, context: RunContext, observers: Sequence[BatchObserver]) -> None:
        self._context, self._observers = context, observers
        self._active: list[BatchObserver] = []

    def open(self, lake: Lake, consumed: Mapping[str, int]) -> None:
        """Open all. An observer that fails is not called again."""
        self._active = [
            observer for observer in self._observers if self._call(observer, lambda each: each.open(lake, consumed))
        ]

    def committed(self, outcome: Outcome) -> None:
        """Pass the outcome to all."""
        for observer in list(self._active):
            self._call(observer, lambda each: each.committed(outcome))

    def tables(self) -> list[LakeTable]:
        """The tables of all."""
        found: list[LakeTable] = []
        for observer in list(self._active):
            self._call(observer, lambda each: found.extend(each.tables()))
        return found

    def _call(self, observer: BatchObserver, work: Callable[[BatchObserver], None]) -> bool:
        try:
            with self._context.report.timed("observers"):
                work(observer)
        except LakehouseError as error:
            self._context.note(f"Observer {type(observer).__name__} failed: {error}")
            return False
        except Exception as error:
            self._remove(observer)
            self._context.note(
                f"Observer {type(observer).__name__} failed and is switched off until the run starts again: "
                f"{traceback.format_exception_only(error)[-1].strip()}"
            )
            return False
        return True

    def _remove(self, observer: BatchObserver) -> None:
        self._active = [each for each in self._active if each is not observer]
