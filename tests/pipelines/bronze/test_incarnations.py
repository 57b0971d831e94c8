from contextlib import closing
from pathlib import Path

import pyarrow as pa

from pipelines.bronze.incarnations import STRIDE, Incarnation, RenumberedLog, in_log
from pipelines.log.interface import OUTGOING
from pipelines.log.open import open_log

SECOND = Incarnation(1, "log", "topic", {0: 1})


def test_an_incarnation_is_stored_and_read_back() -> None:
    assert Incarnation.from_dict(SECOND.to_dict()) == SECOND


def test_each_incarnation_has_its_own_numbers_and_landing_files_have_minus_one() -> None:
    assert (SECOND.in_bronze(3), in_log(STRIDE + 3), in_log(-1)) == (STRIDE + 3, 3, -1)
    assert SECOND.owns(STRIDE + 3)
    assert not SECOND.owns(3)
    assert not SECOND.owns(-1)


def test_a_renumbered_log_takes_and_returns_the_numbers_of_bronze(tmp_path: Path) -> None:
    with closing(open_log(f"sqlite:///{tmp_path / 'log.db'}")) as log:
        log.ensure_topics(["t"], 2)
        renumbered = RenumberedLog(log, {"t": SECOND})
        record = {"partition": STRIDE, "timestamp": None, "key": None, "headers": None}
        sent = pa.Table.from_pylist([{**record, "value": b"a"}, {**record, "value": b"b"}], schema=OUTGOING)
        assert renumbered.append("t", sent) == 2
        state = renumbered.topic_state("t")
        assert (state.first_offsets[STRIDE], state.end_offsets[STRIDE]) == (1, 2)
        polled = renumbered.poll("t", {STRIDE: 1, STRIDE + 1: 0}, 10)
        assert polled.records.select(["partition", "offset", "value"]).to_pylist() == [
            {"partition": STRIDE, "offset": 1, "value": b"b"}
        ]
        assert polled.next_offsets[STRIDE] == 2
