"""What the stages of one attempt of a run share."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.clock import Clock
from pipelines.config.settings import Settings
from pipelines.microbatch.report import Progress, RunReport


@dataclass(slots=True)
class RunContext:
    """The arguments of a run, its report, and its progress callback. All threads of the loop use it.

    `total` is the number of records to read, known once bronze is open; None while unknown and with `follow`.
    """

    settings: Settings
    follow: bool
    clock: Clock
    stop: threading.Event
    report: RunReport
    progress: Callable[[Progress], None]
    total: int | None = None

    def note(self, text: str) -> None:
        """Send a message for the user."""
        self.progress(Progress("bronze", self.report.polled, None, text))

    def polled(self, topic: str, rows: int) -> None:
        """Count records committed to bronze. Reading thread only."""
        self.report.topics[topic].polled += rows

    def show_bronze(self) -> None:
        """Send how many records bronze has."""
        self.progress(Progress("bronze", self.report.polled, self.total))

    def show_silver(self) -> None:
        """Send how many records have a verdict."""
        self.progress(Progress("silver", self.report.judged, self.total))

    def show_gold(self) -> None:
        """Send how many refreshes gold has done."""
        self.progress(Progress("gold", self.report.refreshes, None))
