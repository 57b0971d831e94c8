"""Messages of confluent-kafka as Arrow."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.log.interface import HEADERS, LATEST_MICROS, RECORDS

UNREADABLE_HEADERS = "animeverse-unreadable-headers"

_LATEST = LATEST_MICROS // 1000
Message = Any  # confluent_kafka.Message; its stubs let every part be None, also where there is no error


def as_records(partition: int, messages: list[Message]) -> pa.RecordBatch:
    """Messages of one partition, none of them an error, as a batch of RECORDS."""
    stamps = [message.timestamp() for message in messages]
    headers = _headers(messages)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(len(messages), partition, np.int32)),
            pa.array([message.offset() for message in messages], pa.int64()),
            # The kind 0 is TIMESTAMP_NOT_AVAILABLE; a broker takes any number, and no calendar reads all of them.
            pa.array(
                [1000 * stamp if kind and 0 <= stamp <= _LATEST else None for kind, stamp in stamps],
                RECORDS.field("timestamp").type,
            ),
            pa.array([message.key() for message in messages], pa.binary()),
            pa.array(headers, HEADERS) if any(headers) else pa.nulls(len(messages), HEADERS),
            pa.array([message.value() for message in messages], pa.binary()),
        ],
        schema=RECORDS,
    )


def _headers(messages: list[Message]) -> list[Any]:
    """The headers of each; where a header's name is not UTF-8, which the client cannot read, a mark instead.

    There `headers` raises once, and called again gives a list with holes in it that crash the process.
    """
    found = []
    for message in messages:
        try:
            found.append(message.headers())
        except (SystemError, UnicodeDecodeError):
            found.append([(UNREADABLE_HEADERS, None)])
    return found
