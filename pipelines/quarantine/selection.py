"""Which quarantined records a release would send: those that no earlier release has brought through (R27)."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import compress

import polars as pl

from pipelines.bronze.record_ref import RecordRef, ref_text
from pipelines.contracts.tables import QUARANTINE
from pipelines.errors import UsageError
from pipelines.lake.catalog import Lake
from pipelines.quarantine.fixes import Fix
from pipelines.quarantine.records import KEY_COLUMNS, QuarantineFilter, read_rows
from pipelines.quarantine.release_log import ReleaseHistory


@dataclass(frozen=True, slots=True)
class Chosen:
    """Records that a release would send: rows of `silver.quarantine` with `new`, the value to send, and `sha256`."""

    rows: pl.DataFrame
    already: int
    left: int


def one_topic(wanted: QuarantineFilter) -> str:
    """The topic of a release. Raises UsageError where none is named."""
    if wanted.topic is None:
        raise UsageError("a release is of one topic: expected --topic")
    return wanted.topic


def choose(lake: Lake, wanted: QuarantineFilter, book: ReleaseHistory, fix: Fix | None) -> Chosen:
    """The wanted records that are not released yet. Raises UsageError for a place that is not in quarantine.

    Of a chain of releases that all failed again only the last is chosen, and not with a value or a fix that was tried;
    one named by its place is chosen unless that very value was sent from it.
    """
    topic = one_topic(wanted)
    rows = read_rows(lake, wanted, QUARANTINE.names)
    places: list[RecordRef] = list(rows.select("partition", "offset").iter_rows())
    if absent := sorted(set(wanted.places) - set(places)):
        raise UsageError(f"{topic} has no record at {', '.join(map(ref_text, absent[:5]))} in quarantine that fits")
    tried = _Tried(lake, topic, book)
    roots = [book.root(topic, place) for place in places]
    generations = [book.generation(topic, place) for place in places]
    last: dict[RecordRef, int] = {}
    for root, generation in zip(roots, generations, strict=True):
        last[root] = max(last.get(root, 0), generation)
    is_open = [
        generation == last[root] and root not in tried.through
        for root, generation in zip(roots, generations, strict=True)
    ]
    rows = rows.filter(pl.Series(is_open, dtype=pl.Boolean))
    values = fix.apply(rows) if fix is not None else rows["value"].to_list()
    digests = [None if value is None else hashlib.sha256(value).hexdigest() for value in values]
    left = [fix is not None and value is None for value in values]
    name = fix.name if fix is not None else None
    chosen = [
        not is_left and not tried.has(root, place, name, digest, by_place=bool(wanted.places))
        for is_left, root, place, digest in zip(
            left, compress(roots, is_open), compress(places, is_open), digests, strict=True
        )
    ]
    rows = rows.with_columns(new=pl.Series(values, dtype=pl.Binary), sha256=pl.Series(digests, dtype=pl.String))
    new = rows.filter(pl.Series(chosen, dtype=pl.Boolean))
    return Chosen(new, len(places) - sum(left) - len(new), sum(left))


class _Tried:
    """What was sent from each record before, and which came through."""

    def __init__(self, lake: Lake, topic: str, book: ReleaseHistory) -> None:
        self._by_root: dict[RecordRef, set[tuple[str, str | None]]] = {}
        self._by_place: dict[RecordRef, set[str | None]] = {}
        copies: dict[RecordRef, RecordRef] = {}
        for row in book.rows.filter(pl.col("topic") == topic).iter_rows(named=True):
            place, copy = (row["partition"], row["offset"]), (row["release_partition"], row["release_offset"])
            root = book.root(topic, place)
            copies[copy] = root
            self._by_root.setdefault(root, set()).update((("fix", row["fix"]), ("value", row["value_sha256"])))
            self._by_place.setdefault(place, set()).add(row["value_sha256"])
        stopped = set(quarantined_refs(lake, topic, copies)) if copies else set()
        # Released: some copy is not in quarantine. One that silver has not judged yet counts.
        self.through = {root for copy, root in copies.items() if copy not in stopped}

    def has(self, root: RecordRef, place: RecordRef, fix: str | None, digest: str | None, *, by_place: bool) -> bool:
        """Whether this value was sent from the very place, or this value or this fix for the root."""
        if by_place:
            return digest in self._by_place.get(place, ())
        tried = self._by_root.get(root, set())
        return ("fix", fix) in tried or ("value", digest) in tried


def quarantined_refs(lake: Lake, topic: str, places: Collection[RecordRef]) -> Iterator[RecordRef]:
    """Those of the places whose records are in quarantine."""
    yield from (
        read_rows(lake, QuarantineFilter(topic, places=frozenset(places)), KEY_COLUMNS)
        .select("partition", "offset")
        .iter_rows()
    )
