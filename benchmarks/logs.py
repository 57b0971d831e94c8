"""The log of a benchmark: a new embedded log, or new topics on a broker."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.contracts.registry import TOPICS
from pipelines.log.interface import Log
from pipelines.log.open import open_log

_TOOL = Path("shared", "tools", "kafka", "kafka")  # optional, in a folder beside the repository


class NoBrokerError(RuntimeError):
    """A broker is required and none is available."""


@dataclass(frozen=True, slots=True)
class LogTarget:
    """URL of a log, and the prefix of its topics."""

    url: str
    prefix: str

    @contextmanager
    def opened(self) -> Iterator[Log]:
        """Open the log and create all topics."""
        with closing(open_log(self.url, topic_prefix=self.prefix)) as log:
            log.ensure_topics(list(TOPICS), 4)
            yield log

    @property
    def settings(self) -> dict[str, str]:
        """Settings that a process needs besides the URL."""
        return {"topic_prefix": self.prefix} if self.prefix else {}


@contextmanager
def log_of(kind: str, folder: Path) -> Iterator[LogTarget]:
    """Provide an `embedded` log in the folder, or `kafka`: the broker of ANIMEVERSE_LOG_URL, else a new local broker.

    The broker must keep records whose timestamps are months old (`retention.ms=-1`). Raises NoBrokerError.
    """
    if kind == "embedded":
        yield LogTarget(f"sqlite:///{folder / 'log.db'}", "")
        return
    given = os.environ.get("ANIMEVERSE_LOG_URL", "")
    if given.startswith("kafka://"):
        yield LogTarget(given, f"bench-{uuid.uuid4().hex[:8]}.")
        return
    tool = next((above / _TOOL for above in Path(__file__).resolve().parents if (above / _TOOL).exists()), None)
    if tool is None:
        raise NoBrokerError("set ANIMEVERSE_LOG_URL=kafka://host:port to a broker with room for the corpus")
    broker = folder / "broker"
    started = subprocess.run(
        [str(tool), "start", "--port", "0", "--dir", str(broker)], capture_output=True, text=True, check=True
    )
    try:
        yield LogTarget(started.stdout.strip(), "")
    finally:
        subprocess.run([str(tool), "wipe", "--dir", str(broker)], capture_output=True, check=False)
