"""Which small data files are to become one. Pure: `lake_rewrite` does it.

A table partition is at rest when all its files have the target size, or there is only one. Under way, while files keep
coming, that would write the same rows again and again; there files are merged with such of their own size, so that
each row is written a number of times that grows with the logarithm of what there is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

MIB = 1 << 20
TARGET_BYTES = 64 * MIB
_MOST_BYTES = 1024 * MIB  # of one group: what is written before it is committed
_MOST_UNDER_WAY = 256 * MIB
_FEWEST = 10  # files worth a commit, under way
_CRUMB = MIB  # up to this size files are alike


@dataclass(frozen=True, slots=True)
class FileLine:
    """One data file: its table partition, its size, and the least value of what the rows are sorted by."""

    path: str
    partition: str
    size: int
    rows: int
    first: int


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one table partition that are to become `into` files."""

    partition: str
    files: tuple[FileLine, ...]
    into: int

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(file.size for file in self.files)

    @property
    def rows(self) -> int:
        """Rows in them."""
        return sum(file.rows for file in self.files)


def at_rest(files: Iterable[FileLine], target: int = TARGET_BYTES) -> list[Group]:
    """What brings every table partition to files of at least `target` bytes, or to one."""
    found = []
    for _, members in _by_partition(files):
        small = [file for file in members if file.size < target]
        large = sorted((file for file in members if target <= file.size < 4 * target), key=lambda file: file.size)
        if small and sum(file.size for file in small) < target:
            small += large[:1]
        found += _groups(small, target, _MOST_BYTES)
    return found


def under_way(files: Iterable[FileLine], target: int = TARGET_BYTES) -> list[Group]:
    """What is worth merging while more files come, the group with the most files first."""
    found = []
    for _, members in _by_partition(files):
        alike: list[FileLine] = []
        size = 0
        for file in sorted((file for file in members if file.size < target), key=lambda file: file.size):
            if alike and file.size > max(_CRUMB, 2 * size):
                break
            if size + file.size > _MOST_UNDER_WAY:
                break
            alike.append(file)
            size += file.size
        if len(alike) >= _FEWEST:
            found += _groups(alike, target, _MOST_UNDER_WAY)
    return sorted(found, key=lambda group: (-len(group.files), group.partition))


def _by_partition(files: Iterable[FileLine]) -> Iterable[tuple[str, Sequence[FileLine]]]:
    ordered = sorted(files, key=lambda file: (file.partition, file.first, file.path))
    return [(partition, list(members)) for partition, members in groupby(ordered, key=lambda file: file.partition)]


def _groups(files: Sequence[FileLine], target: int, most_bytes: int) -> list[Group]:
    """The files cut into groups of neighbours, none of which stays as many files as it was."""
    pieces: list[list[FileLine]] = [[]]
    for file in sorted(files, key=lambda file: (file.first, file.path)):
        if pieces[-1] and sum(member.size for member in pieces[-1]) + file.size > most_bytes:
            pieces.append([])
        pieces[-1].append(file)
    if len(pieces) > 1 and sum(file.size for file in pieces[-1]) < target:
        last = pieces.pop()  # too little to stand alone
        pieces[-1] += last
    groups = [Group(piece[0].partition, tuple(piece), _into(piece, target)) for piece in pieces if piece]
    return [group for group in groups if group.into < len(group.files)]


def _into(files: Sequence[FileLine], target: int) -> int:
    return max(1, min(sum(file.size for file in files) // target, len(files) - 1))
