"""The log of a measurement: an embedded one of its own, or topics of their own on a real broker."""

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

_TOOL = Path("shared", "tools", "kafka", "kafka")  # beside the repository, where it is there


class NoBrokerError(RuntimeError):
    """A broker is asked for and there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log is, with a prefix of its own for the topics."""

    url: str
    prefix: str

    @contextmanager
    def opened(self) -> Iterator[Log]:
        """The log, with all topics."""
        with closing(open_log(self.url, topic_prefix=self.prefix)) as log:
            log.ensure_topics(list(TOPICS), 4)
            yield log

    @property
    def settings(self) -> dict[str, str]:
        """What a process needs besides the url."""
        return {"topic_prefix": self.prefix} if self.prefix else {}


@contextmanager
def log_of(kind: str, folder: Path) -> Iterator[Place]:
    """An `embedded` log in the folder, or `kafka`: the broker of ANIMEVERSE_LOG_URL, else one that is started for this.

    Raises NoBrokerError. A broker must keep records whose timestamps are months old (`retention.ms=-1`).
    """
    if kind == "embedded":
        yield Place(f"sqlite:///{folder / 'log.db'}", "")
        return
    given = os.environ.get("ANIMEVERSE_LOG_URL", "")
    if given.startswith("kafka://"):
        yield Place(given, f"bench-{uuid.uuid4().hex[:8]}.")
        return
    tool = next((above / _TOOL for above in Path(__file__).resolve().parents if (above / _TOOL).exists()), None)
    if tool is None:
        raise NoBrokerError("set ANIMEVERSE_LOG_URL=kafka://host:port to a broker with room for the corpus")
    broker = folder / "broker"
    started = subprocess.run(
        [str(tool), "start", "--port", "0", "--dir", str(broker)], capture_output=True, text=True, check=True
    )
    try:
        yield Place(started.stdout.strip(), "")
    finally:
        subprocess.run([str(tool), "wipe", "--dir", str(broker)], capture_output=True, check=False)
