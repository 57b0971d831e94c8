"""Reading one topic: a consumer that stays assigned between polls, so that librdkafka fetches ahead.

Offsets come from the caller and are never committed. `consume` waits its whole timeout unless it gets all it asks for,
so this takes what is queued (timeout 0) and waits by `poll`, which returns with the first message. What a partition has
beyond its fair share stays in its lane for the next poll. A partition is at its end when the broker says so (EOF event,
which also tells the offset behind transaction markers), or when the position reaches the high watermark that came with
the last fetch; before an empty answer the broker is asked for its end offsets. Messages become Arrow a few thousand at
a time: 100,000 Python objects at once halve the rate.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, TopicPartition

from pipelines.errors import LogIdentityError, LogRefusedError, LogUnavailableError
from pipelines.log.fairness import in_turn, shares
from pipelines.log.interface import RECORDS, Polled, out_of_range
from pipelines.log.kafka.client import PATIENCE, KafkaClient
from pipelines.log.kafka.records import Message, as_records

_GATHER = 0.05  # seconds to go on collecting after the first record while more is known to be there
_SLICE = 0.1  # seconds in one wait: Ctrl-C has to be heard
_CHUNK = 5_000  # messages made into Arrow at once
POLL_BYTES = 256 * 2**20  # held in lanes, about; a poll then ends early

_DEFAULTS: Mapping[str, Any] = {
    "group.id": "animeverse",
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 4 * 2**20,
    "fetch.max.bytes": 16 * 2**20,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 10,  # the default of 1 s stops fetching for that long whenever the queue is full
    "max.poll.interval.ms": 86_400_000,
}
_FIXED: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "message.max.bytes": 1_000_000,  # the producer's limit; a larger record is fetched all the same
}


@dataclass(slots=True)
class _Lane:
    """What has been fetched of one partition and not handed out yet."""

    following: int  # offset to hand out next
    reached: int  # offset behind all that was fetched
    ended: bool = False  # the broker said that nothing committed lies behind `reached`
    known_end: int = -1  # the largest end offset heard of
    batches: deque[pa.RecordBatch] = field(default_factory=deque)
    held: int = 0  # records in `batches`
    size: int = 0  # bytes in `batches`

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)
        self.held += len(batch)
        self.size += batch.nbytes
        self.reached, self.ended = batch["offset"][-1].as_py() + 1, False

    def take(self, count: int) -> list[pa.RecordBatch]:
        """The first `count` records; `following` moves behind them and, when nothing is left, behind any hole."""
        taken: list[pa.RecordBatch] = []
        self.held -= count
        while count:
            batch = self.batches.popleft()
            if len(batch) > count:
                self.batches.appendleft(batch.slice(count))
            taken.append(batch.slice(0, count))
            count -= len(taken[-1])
            self.size -= taken[-1].nbytes
        self.following = self.batches[0]["offset"][0].as_py() if self.batches else self.reached
        return taken

    def at_end(self) -> bool:
        return self.ended or 0 <= self.known_end <= self.reached


class TopicReader:
    """One topic's consumer. `topic` is its name on the broker."""

    def __init__(self, client: KafkaClient, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._consumer: Consumer = client.make(Consumer, _DEFAULTS, _FIXED)
        self._lanes: dict[int, _Lane] = {}
        self._order: list[int] = []  # who comes first in this poll

    def poll(self, positions: Mapping[int, int], max_records: int, wait: float) -> Polled:
        """As `Log.poll`."""
        if {number: lane.following for number, lane in self._lanes.items()} != dict(positions):
            self._assign(positions)
        self._order = in_turn(positions)
        self._gather(max_records, wait)
        return self._take(max_records)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _assign(self, positions: Mapping[int, int]) -> None:
        self._lanes = {}
        deadline = self._client.deadline()
        existing = self._client.describe(self._topic, deadline).partitions
        for number in positions:
            if number not in existing:
                raise LogIdentityError(
                    f"topic {self._topic} has no partition {number}, only 0 to {len(existing) - 1}: "
                    "it is not the topic that was read before"
                )
        first, end = self._client.offsets(self._topic, positions, deadline)
        for number, offset in positions.items():
            if not first[number] <= offset <= end[number]:
                raise out_of_range(self._topic, number, offset, first[number], end[number])
        # Without it the consumer may look for the partitions' leaders a second after it has connected.
        self._client.ask(
            f"read topic {self._topic}",
            lambda left: self._consumer.list_topics(self._topic, timeout=min(left, 1.0)),
            deadline,
        )
        self._consumer.assign([TopicPartition(self._topic, number, offset) for number, offset in positions.items()])
        self._lanes = {number: _Lane(offset, offset, known_end=end[number]) for number, offset in positions.items()}

    def _gather(self, max_records: int, wait: float) -> None:
        """Fill the lanes until this poll has its fair shares, or all there is, or `wait` is over."""
        deadline = time.monotonic() + wait
        give_up = time.monotonic() + PATIENCE
        gathered: float | None = None  # when to stop collecting
        while True:
            held = self._pull(max_records)
            now = time.monotonic()
            self._hear_watermarks()
            ended = all(lane.at_end() for lane in self._lanes.values())
            if held:
                gathered = gathered or now + _GATHER
                if ended or now >= gathered or self._has_shares(max_records):
                    return
                timeout = gathered - now
            elif ended:
                if (self._client.failing or now >= deadline) and not self._more_on_broker(wait):
                    return
                timeout = min(_SLICE, max(0.0, deadline - now))
            else:
                if now > give_up:
                    raise LogUnavailableError(
                        f"the broker {self._client.servers} has records of topic {self._topic} "
                        f"but sent none in {PATIENCE:.0f} s"
                    )
                timeout = _SLICE
            message = self._consumer.poll(timeout)
            if message is not None:
                self._sort([message])

    def _pull(self, max_records: int) -> int:
        """Take what librdkafka has queued; returns how many records the lanes hold."""
        while not (held := self._held()) or not self._has_shares(max_records):
            messages = self._consumer.consume(_CHUNK, 0)
            if not messages:
                break
            self._sort(messages)
        return held

    def _held(self) -> int:
        return sum(lane.held for lane in self._lanes.values())

    def _has_shares(self, max_records: int) -> bool:
        """Whether every partition has its share of this poll, or the lanes hold all they may."""
        lanes = self._lanes
        if self._held() >= 2 * max_records + _CHUNK or sum(lane.size for lane in self._lanes.values()) >= POLL_BYTES:
            return True
        possible = {number: lanes[number].held if lanes[number].at_end() else max_records for number in self._order}
        return all(lanes[number].held >= count for number, count in shares(possible, max_records).items())

    def _hear_watermarks(self) -> None:
        for number, lane in self._lanes.items():
            if not lane.ended:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), cached=True)
                if high != OFFSET_INVALID:
                    lane.known_end = max(lane.known_end, high)

    def _more_on_broker(self, wait: float) -> bool:
        """Ask the broker for its end offsets, if the caller did not wait for news or librdkafka reports a failure."""
        if wait > 0 and not self._client.failing:
            return False
        first, end = self._client.offsets(self._topic, self._lanes, self._client.deadline())
        for number, lane in self._lanes.items():
            if not first[number] <= lane.reached <= end[number]:  # made anew, or cut, under our eyes
                self._lanes = {}
                raise out_of_range(self._topic, number, lane.reached, first[number], end[number])
            lane.known_end = max(lane.known_end, end[number])
            lane.ended = lane.ended and end[number] <= lane.reached
        return not all(lane.at_end() for lane in self._lanes.values())

    def _sort(self, messages: list[Message]) -> None:
        """Put messages into the lanes of their partitions, in order."""
        runs: dict[int, list[Message]] = {}
        for message in messages:
            error = message.error()
            if error is None:
                runs.setdefault(message.partition(), []).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                number = message.partition()
                self._add(number, runs.pop(number, []))
                lane = self._lanes[number]
                lane.reached, lane.ended = max(lane.reached, message.offset()), True
                if not lane.held:
                    lane.following = lane.reached
            elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # the group is only a name, nothing asks for it
                self._fail(message, error)
        for number, run in runs.items():
            self._add(number, run)

    def _add(self, number: int, messages: list[Message]) -> None:
        if messages:
            self._lanes[number].add(as_records(number, messages))

    def _fail(self, message: Message, error: KafkaError) -> None:
        """Raise what a consumer error means; the next poll assigns anew."""
        number, lanes = message.partition(), self._lanes
        self._lanes = {}
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            first, end = self._client.offsets(self._topic, [number], self._client.deadline())
            raise out_of_range(self._topic, number, lanes[number].reached, first[number], end[number])
        told = self._client.told(f"read topic {self._topic}", error, self._topic)
        if isinstance(told, LogRefusedError):
            self._client.describe(self._topic, self._client.deadline())  # says so itself where the topic is gone
        raise told

    def _take(self, max_records: int) -> Polled:
        available = {number: self._lanes[number].held for number in self._order}
        parts = []
        for number, count in sorted(shares(available, max_records).items()):
            parts += self._lanes[number].take(count)
        return Polled(
            pa.Table.from_batches(parts, RECORDS), {number: lane.following for number, lane in self._lanes.items()}
        )
