import pytest

from pipelines.bronze.record_ref import by_partition, parse_record_ref, ref_text
from pipelines.errors import UsageError


@pytest.mark.parametrize("text", ["-1/5", "2/1017", "0/0"])
def test_a_reference_is_read_as_it_is_written(text: str) -> None:
    assert ref_text(parse_record_ref(text)) == text


@pytest.mark.parametrize("text", ["5", "a/b", "-2/5", "1/-5", "1/2/3", f"{2**31}/0", f"0/{2**63}"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--offset .*: expected PARTITION/OFFSET, such as 2/1017"):
        parse_record_ref(text)


def test_offsets_are_grouped_by_partition_and_sorted() -> None:
    assert by_partition([(1, 9), (0, 3), (1, 2)]) == {0: [3], 1: [2, 9]}
