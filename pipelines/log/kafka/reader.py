"""Reads one topic with a consumer that stays assigned between polls, so that librdkafka prefetches.

Offsets come from the caller and are never committed. `Consumer.consume` waits for its whole timeout unless it gets all
requested messages, so the reader takes the queued ones (timeout 0) and waits with `Consumer.poll`, which returns with
the first message. Records beyond a partition's fair share stay in its buffer for the next poll. A partition is at its
end when the broker reports it (the EOF event, which also gives the offset after transaction markers), or when the
position reaches the high watermark of the last fetch. An empty result is returned only after a request for the end
offsets. Messages become Arrow in chunks: 100,000 Python objects at a time halve the throughput.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, TopicPartition

from pipelines.errors import LogIdentityError, LogRefusedError, LogUnavailableError
from pipelines.log.fairness import rotated, shares
from pipelines.log.interface import RECORDS, Polled, out_of_range
from pipelines.log.kafka.client import REQUEST_TIMEOUT, KafkaClient
from pipelines.log.kafka.records import Message, as_records

GATHER_SECONDS = 0.05  # to collect more records after the first while the log is known to hold more
_WAIT_SLICE = 0.1  # seconds in one wait, which Ctrl-C does not interrupt
_CHUNK = 5_000  # messages converted to Arrow at a time
POLL_BYTES = 256 * 2**20  # approximate size of all buffers at which a poll ends early

_DEFAULTS: Mapping[str, Any] = {
    "group.id": "animeverse",
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 4 * 2**20,
    "fetch.max.bytes": 16 * 2**20,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 10,  # at the default of 1 s, fetching pauses that long whenever the queue is full
    "max.poll.interval.ms": 86_400_000,
}
_FIXED: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "message.max.bytes": 1_000_000,  # the producer's limit; larger records are fetched, too
}


@dataclass(slots=True)
class _PartitionBuffer:
    """Records of one partition that were fetched and not returned yet."""

    next_offset: int  # of the next record to return
    fetched_to: int  # the offset after the last fetched record
    at_eof: bool = False  # the broker reported that no committed record follows `fetched_to`
    known_end: int = -1  # the largest end offset that the broker reported
    batches: deque[pa.RecordBatch] = field(default_factory=deque)
    record_count: int = 0  # in `batches`
    byte_count: int = 0  # in `batches`

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)
        self.record_count += len(batch)
        self.byte_count += batch.nbytes
        self.fetched_to, self.at_eof = batch["offset"][-1].as_py() + 1, False

    def take(self, count: int) -> list[pa.RecordBatch]:
        """Remove and return the first `count` records. When none is left, `next_offset` skips a hole after them."""
        result: list[pa.RecordBatch] = []
        self.record_count -= count
        while count:
            batch = self.batches.popleft()
            if len(batch) > count:
                self.batches.appendleft(batch.slice(count))
            result.append(batch.slice(0, count))
            count -= len(result[-1])
            self.byte_count -= result[-1].nbytes
        self.next_offset = self.batches[0]["offset"][0].as_py() if self.batches else self.fetched_to
        return result

    def at_end(self) -> bool:
        return self.at_eof or 0 <= self.known_end <= self.fetched_to


class TopicReader:
    """One topic's consumer. `topic` is its name on the broker."""

    def __init__(self, client: KafkaClient, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._consumer: Consumer = client.make(Consumer, _DEFAULTS, _FIXED)
        self._buffers: dict[int, _PartitionBuffer] = {}
        self._order: list[int] = []  # of partitions in this poll

    def poll(self, positions: Mapping[int, int], max_records: int, wait: float) -> Polled:
        """As `Log.poll`."""
        if {number: buffer.next_offset for number, buffer in self._buffers.items()} != dict(positions):
            self._assign(positions)
        self._order = rotated(positions)
        self._fill_buffers(max_records, wait)
        return self._take(max_records)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _assign(self, positions: Mapping[int, int]) -> None:
        self._buffers = {}
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
        # Without this request, the consumer may look for the partitions' leaders only a second after it connected.
        self._client.retry(
            f"read topic {self._topic}",
            lambda timeout: self._consumer.list_topics(self._topic, timeout=min(timeout, 1.0)),
            deadline,
        )
        self._consumer.assign([TopicPartition(self._topic, number, offset) for number, offset in positions.items()])
        self._buffers = {
            number: _PartitionBuffer(offset, offset, known_end=end[number]) for number, offset in positions.items()
        }

    def _fill_buffers(self, max_records: int, wait: float) -> None:
        """Fill the buffers until this poll has its fair shares or all records, or `wait` seconds are over."""
        deadline = time.monotonic() + wait
        give_up = time.monotonic() + REQUEST_TIMEOUT
        gather_until: float | None = None
        while True:
            buffered = self._drain_queue(max_records)
            now = time.monotonic()
            self._update_end_offsets()
            ended = all(buffer.at_end() for buffer in self._buffers.values())
            if buffered:
                gather_until = gather_until or now + GATHER_SECONDS
                if ended or now >= gather_until or self._has_shares(max_records):
                    return
                timeout = gather_until - now
            elif ended:
                if (self._client.failing or now >= deadline) and not self._broker_has_more(wait):
                    return
                timeout = min(_WAIT_SLICE, max(0.0, deadline - now))
            else:
                if now > give_up:
                    raise LogUnavailableError(
                        f"the broker {self._client.servers} has records of topic {self._topic} "
                        f"but sent none in {REQUEST_TIMEOUT:.0f} s"
                    )
                timeout = _WAIT_SLICE
            message = self._consumer.poll(timeout)
            if message is not None:
                self._dispatch([message])

    def _drain_queue(self, max_records: int) -> int:
        """Move the messages that librdkafka has queued to the buffers; returns how many records the buffers hold."""
        while not (buffered := self._record_count()) or not self._has_shares(max_records):
            messages = self._consumer.consume(_CHUNK, 0)
            if not messages:
                break
            self._dispatch(messages)
        return buffered

    def _record_count(self) -> int:
        return sum(buffer.record_count for buffer in self._buffers.values())

    def _has_shares(self, max_records: int) -> bool:
        """Whether every partition has its share of this poll, or the buffers are full."""
        buffers = self._buffers
        byte_count = sum(buffer.byte_count for buffer in buffers.values())
        if self._record_count() >= 2 * max_records + _CHUNK or byte_count >= POLL_BYTES:
            return True
        possible = {
            number: buffers[number].record_count if buffers[number].at_end() else max_records for number in self._order
        }
        return all(buffers[number].record_count >= count for number, count in shares(possible, max_records).items())

    def _update_end_offsets(self) -> None:
        for number, buffer in self._buffers.items():
            if not buffer.at_eof:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), cached=True)
                if high != OFFSET_INVALID:
                    buffer.known_end = max(buffer.known_end, high)

    def _broker_has_more(self, wait: float) -> bool:
        """Request the end offsets, unless the caller waits for records and librdkafka reports no failure."""
        if wait > 0 and not self._client.failing:
            return False
        first, end = self._client.offsets(self._topic, self._buffers, self._client.deadline())
        for number, buffer in self._buffers.items():
            if not first[number] <= buffer.fetched_to <= end[number]:  # the topic was recreated or truncated
                self._buffers = {}
                raise out_of_range(self._topic, number, buffer.fetched_to, first[number], end[number])
            buffer.known_end = max(buffer.known_end, end[number])
            buffer.at_eof = buffer.at_eof and end[number] <= buffer.fetched_to
        return not all(buffer.at_end() for buffer in self._buffers.values())

    def _dispatch(self, messages: list[Message]) -> None:
        """Append messages to the buffers of their partitions, in order."""
        runs: dict[int, list[Message]] = {}
        for message in messages:
            error = message.error()
            if error is None:
                runs.setdefault(message.partition(), []).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                number = message.partition()
                self._add(number, runs.pop(number, []))
                buffer = self._buffers[number]
                buffer.fetched_to, buffer.at_eof = max(buffer.fetched_to, message.offset()), True
                if not buffer.record_count:
                    buffer.next_offset = buffer.fetched_to
            elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # the group is not used
                self._fail(message, error)
        for number, run in runs.items():
            self._add(number, run)

    def _add(self, number: int, messages: list[Message]) -> None:
        if messages:
            self._buffers[number].add(as_records(number, messages))

    def _fail(self, message: Message, error: KafkaError) -> None:
        """Raise our error for a consumer error; the next poll assigns the partitions again."""
        number, buffers = message.partition(), self._buffers
        self._buffers = {}
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            first, end = self._client.offsets(self._topic, [number], self._client.deadline())
            raise out_of_range(self._topic, number, buffers[number].fetched_to, first[number], end[number])
        translated = self._client.translate_error(f"read topic {self._topic}", error, self._topic)
        if isinstance(translated, LogRefusedError):
            self._client.describe(self._topic, self._client.deadline())  # raises NoTopicError if the topic is gone
        raise translated

    def _take(self, max_records: int) -> Polled:
        available = {number: self._buffers[number].record_count for number in self._order}
        parts = []
        for number, count in sorted(shares(available, max_records).items()):
            parts += self._buffers[number].take(count)
        return Polled(
            pa.Table.from_batches(parts, RECORDS),
            {number: buffer.next_offset for number, buffer in self._buffers.items()},
        )
