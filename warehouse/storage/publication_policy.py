"""When a commit is published: at once, or in a catch-up only now and then, because each publication copies the file."""

import time
from dataclasses import dataclass

CATCH_UP_ROWS = 100_000  # rows from which a refresh belongs to a catch-up
# In a catch-up a commit is published when COPY_SHARE times the duration of the last copy has passed, or MAX_UNPUBLISHED
# seconds.
COPY_SHARE, MAX_UNPUBLISHED = 20, 60.0


def is_catch_up(rows: int) -> bool:
    """Whether a refresh of so many silver rows belongs to a catch-up, in which more rows follow."""
    return rows >= CATCH_UP_ROWS


@dataclass(slots=True)
class PublicationPolicy:
    """Decides when to publish. `is_pending` says that a commit is not published yet."""

    is_pending: bool = False
    _not_before: float = 0.0  # time.monotonic() before which a catch-up does not publish

    def is_due(self, rows: int) -> bool:
        """Whether to publish after a refresh of so many silver rows."""
        return self.is_pending and (not is_catch_up(rows) or time.monotonic() >= self._not_before)

    def committed(self) -> None:
        """Records a commit."""
        self.is_pending = True

    def published(self, copy_seconds: float) -> None:
        """Records a publication that took so many seconds to copy."""
        self.is_pending = False
        self._not_before = time.monotonic() + min(COPY_SHARE * copy_seconds, MAX_UNPUBLISHED)

    def wait(self, seconds: float) -> None:
        """Lets a catch-up publish no earlier than in so many seconds."""
        self._not_before = time.monotonic() + seconds

    def reset(self) -> None:
        """Forgets a pending commit, because its file is discarded."""
        self.is_pending, self._not_before = False, 0.0
