"""Where a run began, so that an interrupted one goes on and sends nothing twice.

Batches are a function of the world's parameters, and a log keeps each partition's order. A `Run` writes
the end offsets of the topics to a small file before the first record is sent. A later run with the same parameters
finds the file: what has been appended since is the beginning of each partition's records, so exactly these are left
out. The last record of each partition is compared with what was meant to stand there; where something else wrote to
the topic in between, the run stops and says so. When all is sent the file is removed.
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
    """Where a run began, remembered in a file, and what of its batches is in the log already.

    Raises UsageError where something else wrote to a topic since the run began.
    """

    def __init__(self, log: Log, name: str, state: Path, topics: Sequence[str]) -> None:
        self._log, self._state = log, state
        held = {topic: log.topic_state(topic) for topic in topics}
        self._ends = {topic: dict(there.end_offsets) for topic, there in held.items()}
        identity = {"run": name, "log": log.identity, "topics": {topic: held[topic].topic_id for topic in topics}}
        begun = _read(state)
        if begun is None or begun["identity"] != identity:
            begun = {"identity": identity, "begin": self._ends}
            _write(state, begun)
        self._skip = {
            topic: {number: end - begun["begin"][topic].get(number, 0) for number, end in ends.items()}
            for topic, ends in self._ends.items()
        }
        self._offered, self._exhausted = 0, False

    def rest(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches less what has been appended since the run began."""
        for batch in batches:
            left = self._beyond(batch) if batch.topic in self._skip else batch
            if left is not None:
                self._offered += left.records.num_rows if batch.topic in self._skip else 0
                yield left
        for topic, skip in self._skip.items():
            for number, count in skip.items():
                if count:
                    raise self._foreign(topic, number)
        self._exhausted = True

    def is_over(self, sent: int) -> bool:
        """Whether everything is in the log, once `sent` of the rest has been."""
        return self._exhausted and sent == self._offered

    def _beyond(self, batch: Batch) -> Batch | None:
        """What of the batch is not in the log yet; None where all of it is."""
        skip, ends = self._skip[batch.topic], self._ends[batch.topic]
        if not any(skip.values()):
            return batch
        partition = partitions_of(batch.records["key"].combine_chunks(), len(ends))
        keep = np.ones(len(partition), np.bool_)
        for number, left in skip.items():
            at = np.flatnonzero(partition == number)[:left]
            keep[at] = False
            skip[number] -= len(at)
            if len(at) and not skip[number]:
                found = self._log.poll(batch.topic, {number: ends[number] - 1}, 1).records["value"].to_pylist()
                if found != [batch.records["value"][int(at[-1])].as_py()]:
                    raise self._foreign(batch.topic, number)
        rows = np.flatnonzero(keep)
        if not len(rows):
            return None
        return Batch(batch.topic, batch.records.take(pa.array(rows)), batch.facts[rows])

    def _foreign(self, topic: str, partition: int) -> UsageError:
        return UsageError(
            f"something else has written to partition {partition} of topic {topic} since the run that {self._state} "
            "remembers, so it cannot go on: delete that file to send everything from the start (what is there already "
            "counts as duplicates), or take another --seed"
        )


def _read(state: Path) -> dict[str, Any] | None:
    """What the file remembers; None where there is none or it is not readable."""
    try:
        held = json.loads(state.read_text())
        begin = {
            topic: {int(number): int(end) for number, end in ends.items()} for topic, ends in held["begin"].items()
        }
        return {"identity": held["identity"], "begin": begin}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(state: Path, begun: dict[str, Any]) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    fresh = state.with_name(state.name + ".tmp")
    fresh.write_text(json.dumps(begun))
    fresh.replace(state)
