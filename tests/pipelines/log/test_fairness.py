"""The division of a poll among partitions."""

import pytest

from pipelines.log.fairness import rotated, shares


@pytest.mark.parametrize(
    ("available", "most", "expected"),
    [
        ({0: 100, 1: 100}, 10, {0: 5, 1: 5}),
        ({0: 100, 1: 2, 2: 100}, 11, {1: 2, 0: 5, 2: 4}),
        ({0: 1, 1: 1}, 10, {0: 1, 1: 1}),
        ({0: 0, 1: 7}, 5, {1: 5}),
        ({2: 9, 0: 9, 1: 9}, 2, {2: 1, 0: 1, 1: 0}),
        ({}, 5, {}),
    ],
)
def test_shares_are_equal_and_the_unused_rest_of_a_share_goes_to_the_others(
    available: dict[int, int], most: int, expected: dict[int, int]
) -> None:
    assert shares(available, most) == expected


def test_the_first_partition_changes_with_every_record_read() -> None:
    assert [rotated({0: n, 1: 0, 2: 0})[0] for n in range(4)] == [0, 1, 2, 0]
