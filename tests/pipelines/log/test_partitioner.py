"""murmur2 compared with Kafka's test vectors and librdkafka's partitioner."""

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Producer  # noqa: TID251
from hypothesis import given
from hypothesis import strategies as st

from pipelines.log import partitioner
from pipelines.log.partitioner import murmur2, partitions_of

# org.apache.kafka.common.utils.UtilsTest and rdmurmur2.c
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
    b"kafka": 0xD067CF64 - 2**32,
    b"giberish123456789": 0x8F552B0C - 2**32,
    b"": 0x106E08D9,
}


def test_the_hashes_are_those_of_kafkas_java_client() -> None:
    assert murmur2(pa.array(VECTORS)).astype(np.int32).tolist() == list(VECTORS.values())


def test_the_hash_of_a_key_does_not_depend_on_the_array_around_it() -> None:
    keys = pa.array([b"x" * n for n in range(0, 9000, 71)] + [None, b"\xff\xfe\x00"])
    together = murmur2(keys)
    assert murmur2(keys[5:90]).tolist() == together[5:90].tolist()
    assert [int(murmur2(keys[n : n + 1])[0]) for n in range(len(keys))] == together.tolist()
    assert len(murmur2(keys[:0])) == 0


@given(st.lists(st.binary(max_size=40)))
def test_vectorized_and_single_hashing_agree(keys: list[bytes]) -> None:
    column = pa.array(keys, pa.binary())
    vectorized = murmur2(column).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioner, "MAX_VECTORIZED_BYTES", -1)
        assert murmur2(column).tolist() == vectorized


def test_the_partitions_are_those_of_librdkafkas_murmur2(mock_broker: str, topic_prefix: str) -> None:
    chosen: dict[bytes, int] = {}
    settings = {"bootstrap.servers": mock_broker.removeprefix("kafka://"), "partitioner": "murmur2", "log_level": 0}
    producer = Producer(settings)
    keys = [b"key-%d" % n * (n % 5 + 1) for n in range(200)]
    for key in keys:
        producer.produce(
            f"{topic_prefix}murmur",
            b"",
            key,
            on_delivery=lambda _, message: chosen.__setitem__(message.key(), message.partition()),
        )
    assert producer.flush(10) == 0
    assert [chosen[key] for key in keys] == partitions_of(pa.array(keys), 4).tolist()
