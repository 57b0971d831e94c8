"""Resume an interrupted run without sending a record twice.

Batches are a function of the world's parameters, and a log keeps the order within a partition. A `Run` writes the
end offsets of the topics to a file before it sends the first record. A later run with the same parameters reads the
file. The records appended since are the first records of each partition, so the run skips exactly these. It compares
the last record of each partition with the expected one and stops if another process wrote to the topic. The file is
removed when everything is sent.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.errors import UsageError
from pipelines.log.interface import Log
from pipelines.log.partitioner import partitions_of
from producers.world import Batch


class Run:
    """The start offsets of a run, stored in a file, and which of its records are already in the log.

    Raises UsageError if another process wrote to a topic since the run began.
    """

    def __init__(self, log: Log, name: str, state: Path, topics: Sequence[str]) -> None:
        self._log, self._state = log, state
        states = {topic: log.topic_state(topic) for topic in topics}
        self._ends = {topic: dict(topic_state.end_offsets) for topic, topic_state in states.items()}
        identity = {"run": name, "log": log.identity, "topics": {topic: states[topic].topic_id for topic in topics}}
        start = _read(state)
        if start is None or start["identity"] != identity:
            start = {"identity": identity, "begin": self._ends}
            _write(state, start)
        self._skip = {
            topic: {number: end - start["begin"][topic].get(number, 0) for number, end in ends.items()}
            for topic, ends in self._ends.items()
        }
        self._offered, self._exhausted = 0, False

    def remaining(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches without the records that were appended since the run began."""
        for batch in batches:
            rest = self._without_sent(batch) if batch.topic in self._skip else batch
            if rest is not None:
                self._offered += rest.records.num_rows if batch.topic in self._skip else 0
                yield rest
        for topic, skip in self._skip.items():
            for number, count in skip.items():
                if count:
                    raise self._foreign_write(topic, number)
        self._exhausted = True

    def is_complete(self, sent: int) -> bool:
        """Return whether everything is in the log after `sent` of the remaining records."""
        return self._exhausted and sent == self._offered

    def _without_sent(self, batch: Batch) -> Batch | None:
        """Return the part of the batch that is not in the log yet; None if all of it is."""
        skip, ends = self._skip[batch.topic], self._ends[batch.topic]
        if not any(skip.values()):
            return batch
        partition = partitions_of(batch.records["key"].combine_chunks(), len(ends))
        keep = np.ones(len(partition), np.bool_)
        for number, count in skip.items():
            at = np.flatnonzero(partition == number)[:count]
            keep[at] = False
            skip[number] -= len(at)
            if len(at) and not skip[number]:
                found = self._log.poll(batch.topic, {number: ends[number] - 1}, 1).records["value"].to_pylist()
                if found != [batch.records["value"][int(at[-1])].as_py()]:
                    raise self._foreign_write(batch.topic, number)
        rows = np.flatnonzero(keep)
        if not len(rows):
            return None
        return Batch(batch.topic, batch.records.take(pa.array(rows)), batch.facts[rows])

    def _foreign_write(self, topic: str, partition: int) -> UsageError:
        return UsageError(
            f"another process has written to partition {partition} of topic {topic} since the run recorded in "
            f"{self._state} began, so the run cannot continue: delete that file to send everything again (records "
            "already in the log become duplicates), or use another --seed"
        )


def _read(state: Path) -> dict[str, Any] | None:
    """Return the content of the file; None if it is missing or unreadable."""
    try:
        content = json.loads(state.read_text())
        begin = {
            topic: {int(number): int(end) for number, end in ends.items()} for topic, ends in content["begin"].items()
        }
        return {"identity": content["identity"], "begin": begin}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(state: Path, start: dict[str, Any]) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    temporary = state.with_name(state.name + ".tmp")
    temporary.write_text(json.dumps(start))
    temporary.replace(state)
