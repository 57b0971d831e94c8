from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.compaction import FileLine, at_rest, under_way

MB = 1 << 20


def files(*sizes: int, partition: str = "day=1") -> list[FileLine]:
    return [FileLine(f"{partition}/{n}", partition, size, 10, n) for n, size in enumerate(sizes)]


def test_a_table_partition_with_one_file_or_only_large_ones_is_at_rest() -> None:
    assert at_rest(files(1)) == []
    assert at_rest(files(64 * MB, 70 * MB)) == []


def test_small_files_are_merged_within_their_table_partition() -> None:
    groups = at_rest([*files(MB, MB, MB), *files(MB, MB, partition="day=2"), *files(5, partition="day=3")])
    assert [(group.partition, len(group.files), group.into) for group in groups] == [("day=1", 3, 1), ("day=2", 2, 1)]


def test_no_file_below_the_target_remains_beside_large_ones() -> None:
    (group,) = at_rest(files(127 * MB, MB))
    assert (len(group.files), group.into) == (2, 1)
    (group,) = at_rest(files(80 * MB, 64 * MB, MB))
    assert sorted(file.size // MB for file in group.files) == [1, 64]
    assert group.into == 1


def test_a_group_larger_than_the_target_becomes_several_files_of_at_least_the_target() -> None:
    (group,) = at_rest(files(*[10 * MB] * 20))
    assert (len(group.files), group.into) == (20, 3)


def test_under_way_a_large_file_is_not_rewritten_for_a_few_small_ones() -> None:
    assert under_way(files(*[MB // 2] * 9)) == []  # not worth a commit yet
    (group,) = under_way(files(30 * MB, *[MB // 2] * 10))
    assert {file.size for file in group.files} == {MB // 2}
    (group,) = under_way(files(8 * MB, *[MB // 2] * 10))
    assert len(group.files) == 11


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60))
def test_merging_ends_with_one_file_or_none_below_the_target(sizes: list[int]) -> None:
    current = files(*sizes)
    for _ in range(20):
        groups = at_rest(current, target=64)
        if not groups:
            break
        replaced = {file.path for group in groups for file in group.files}
        assert len(replaced) == sum(len(group.files) for group in groups)
        current = [file for file in current if file.path not in replaced]
        for group in groups:  # a tenth smaller than planned, because of better compression
            share = group.size * 9 // 10 // group.into
            current += [FileLine(f"new/{len(current)}/{n}", "day=1", share, 10, n) for n in range(group.into)]
    else:
        raise AssertionError("merging does not end")
    assert len(current) == 1 or all(file.size >= 64 for file in current)
