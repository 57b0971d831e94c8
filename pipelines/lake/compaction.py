"""Planning of compaction: which small data files to merge. Pure; `rewrite.py` merges them.

`at_rest` plans for a table without a writer: it leaves one file per table partition, or files of at least the target
size. With a writer that adds files, this would write the same rows again and again. `under_way` merges only files of
similar size, so that the number of times a row is written grows with the logarithm of the table's size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

MIB = 1 << 20
TARGET_BYTES = 64 * MIB
_MAX_GROUP_BYTES = 1024 * MIB  # written before one commit
_MAX_UNDER_WAY_BYTES = 256 * MIB
_MIN_UNDER_WAY_FILES = 10  # fewer are not worth a commit
_SIMILAR_BYTES = MIB  # all files up to this size count as similar


@dataclass(frozen=True, slots=True)
class FileLine:
    """One data file: its table partition, its size, and the least value of the first sort column."""

    path: str
    partition: str
    size: int
    rows: int
    first: int


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one table partition to be merged into `into` files."""

    partition: str
    files: tuple[FileLine, ...]
    into: int

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(file.size for file in self.files)

    @property
    def rows(self) -> int:
        """Rows in the files."""
        return sum(file.rows for file in self.files)


def at_rest(files: Iterable[FileLine], target: int = TARGET_BYTES) -> list[Group]:
    """Groups whose merge leaves every table partition with one file, or with files of at least `target` bytes."""
    groups = []
    for _, members in _by_partition(files):
        small = [file for file in members if file.size < target]
        large = sorted((file for file in members if target <= file.size < 4 * target), key=lambda file: file.size)
        if small and sum(file.size for file in small) < target:
            small += large[:1]
        groups += _groups(small, target, _MAX_GROUP_BYTES)
    return groups


def under_way(files: Iterable[FileLine], target: int = TARGET_BYTES) -> list[Group]:
    """Groups worth merging while a writer adds files, the group with the most files first."""
    groups = []
    for _, members in _by_partition(files):
        similar: list[FileLine] = []
        size = 0
        for file in sorted((file for file in members if file.size < target), key=lambda file: file.size):
            if similar and file.size > max(_SIMILAR_BYTES, 2 * size):
                break
            if size + file.size > _MAX_UNDER_WAY_BYTES:
                break
            similar.append(file)
            size += file.size
        if len(similar) >= _MIN_UNDER_WAY_FILES:
            groups += _groups(similar, target, _MAX_UNDER_WAY_BYTES)
    return sorted(groups, key=lambda group: (-len(group.files), group.partition))


def _by_partition(files: Iterable[FileLine]) -> Iterable[tuple[str, Sequence[FileLine]]]:
    ordered = sorted(files, key=lambda file: (file.partition, file.first, file.path))
    return [(partition, list(members)) for partition, members in groupby(ordered, key=lambda file: file.partition)]


def _groups(files: Sequence[FileLine], target: int, max_bytes: int) -> list[Group]:
    """Groups of neighbouring files. A group that would not get fewer files is left out."""
    pieces: list[list[FileLine]] = [[]]
    for file in sorted(files, key=lambda file: (file.first, file.path)):
        if pieces[-1] and sum(member.size for member in pieces[-1]) + file.size > max_bytes:
            pieces.append([])
        pieces[-1].append(file)
    if len(pieces) > 1 and sum(file.size for file in pieces[-1]) < target:
        last = pieces.pop()  # too small for a file of its own
        pieces[-1] += last
    groups = [Group(piece[0].partition, tuple(piece), _into(piece, target)) for piece in pieces if piece]
    return [group for group in groups if group.into < len(group.files)]


def _into(files: Sequence[FileLine], target: int) -> int:
    return max(1, min(sum(file.size for file in files) // target, len(files) - 1))
