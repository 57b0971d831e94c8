"""Converts messages of confluent-kafka to Arrow."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.log.interface import HEADERS, LATEST_MICROS, RECORDS

UNREADABLE_HEADERS = "animeverse-unreadable-headers"

_LATEST_MILLIS = LATEST_MICROS // 1000
Message = Any  # confluent_kafka.Message; its stubs allow None for every part, even without an error


def as_records(partition: int, messages: list[Message]) -> pa.RecordBatch:
    """Return messages of one partition, none of them an error, as a batch of RECORDS."""
    timestamps = [message.timestamp() for message in messages]
    headers = _headers(messages)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(len(messages), partition, np.int32)),
            pa.array([message.offset() for message in messages], pa.int64()),
            # Kind 0 is TIMESTAMP_NOT_AVAILABLE. A broker accepts any number, also outside the calendar.
            pa.array(
                [1000 * millis if kind and 0 <= millis <= _LATEST_MILLIS else None for kind, millis in timestamps],
                RECORDS.field("timestamp").type,
            ),
            pa.array([message.key() for message in messages], pa.binary()),
            pa.array(headers, HEADERS) if any(headers) else pa.nulls(len(messages), HEADERS),
            pa.array([message.value() for message in messages], pa.binary()),
        ],
        schema=RECORDS,
    )


def _headers(messages: list[Message]) -> list[Any]:
    """Return the headers of each message, or a marker header if a header's name is not UTF-8.

    The client cannot read such a name: `headers` raises once, and the result of a second call crashes the process.
    """
    result = []
    for message in messages:
        try:
            result.append(message.headers())
        except (SystemError, UnicodeDecodeError):
            result.append([(UNREADABLE_HEADERS, None)])
    return result
