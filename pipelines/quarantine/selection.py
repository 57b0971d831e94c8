"""Selects the quarantined records that a release sends: those that no earlier release brought into silver (R27)."""

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
    """The records to send: rows of `silver.quarantine` with `new`, the value to send, and its `sha256`."""

    rows: pl.DataFrame
    already: int  # selected records that were released before
    left: int  # selected records for which the fix returned null


def one_topic(wanted: QuarantineFilter) -> str:
    """The topic of the filter. Raises UsageError where it names none."""
    if wanted.topic is None:
        raise UsageError("a release is for one topic: expected --topic")
    return wanted.topic


def choose(lake: Lake, wanted: QuarantineFilter, history: ReleaseHistory, fix: Fix | None) -> Chosen:
    """The selected records that are not released yet. Raises UsageError for a ref that is not in quarantine.

    Of a chain of releases that all failed, only the last record is chosen, and only with a value and a fix that the
    chain has not tried. A record selected by its ref is chosen unless the very value was sent from it before.
    """
    topic = one_topic(wanted)
    rows = read_rows(lake, wanted, QUARANTINE.names)
    refs: list[RecordRef] = list(rows.select("partition", "offset").iter_rows())
    if absent := sorted(set(wanted.places) - set(refs)):
        texts = ", ".join(map(ref_text, absent[:5]))
        raise UsageError(f"{topic} has no quarantined record at {texts} that matches the other options")
    attempts = _Attempts(lake, topic, history)
    roots = [history.root(topic, ref) for ref in refs]
    generations = [history.generation(topic, ref) for ref in refs]
    last: dict[RecordRef, int] = {}
    for root, generation in zip(roots, generations, strict=True):
        last[root] = max(last.get(root, 0), generation)
    is_open = [
        generation == last[root] and root not in attempts.succeeded
        for root, generation in zip(roots, generations, strict=True)
    ]
    rows = rows.filter(pl.Series(is_open, dtype=pl.Boolean))
    values = fix.apply(rows) if fix is not None else rows["value"].to_list()
    digests = [None if value is None else hashlib.sha256(value).hexdigest() for value in values]
    left = [fix is not None and value is None for value in values]
    name = fix.name if fix is not None else None
    is_chosen = [
        not is_left and not attempts.include(root, ref, name, digest, by_ref=bool(wanted.places))
        for is_left, root, ref, digest in zip(
            left, compress(roots, is_open), compress(refs, is_open), digests, strict=True
        )
    ]
    rows = rows.with_columns(new=pl.Series(values, dtype=pl.Binary), sha256=pl.Series(digests, dtype=pl.String))
    chosen = rows.filter(pl.Series(is_chosen, dtype=pl.Boolean))
    return Chosen(chosen, len(refs) - sum(left) - len(chosen), sum(left))


class _Attempts:
    """The values and fixes that earlier releases of a topic sent, and which of them succeeded."""

    def __init__(self, lake: Lake, topic: str, history: ReleaseHistory) -> None:
        self._by_root: dict[RecordRef, set[tuple[str, str | None]]] = {}
        self._by_ref: dict[RecordRef, set[str | None]] = {}
        root_of: dict[RecordRef, RecordRef] = {}  # by copy
        for row in history.rows.filter(pl.col("topic") == topic).iter_rows(named=True):
            ref, copy = (row["partition"], row["offset"]), (row["release_partition"], row["release_offset"])
            root = history.root(topic, ref)
            root_of[copy] = root
            self._by_root.setdefault(root, set()).update((("fix", row["fix"]), ("value", row["value_sha256"])))
            self._by_ref.setdefault(ref, set()).add(row["value_sha256"])
        failed = set(quarantined_refs(lake, topic, root_of)) if root_of else set()
        # Roots with a copy that is not in quarantine. This includes copies that silver has not read yet.
        self.succeeded = {root for copy, root in root_of.items() if copy not in failed}

    def include(self, root: RecordRef, ref: RecordRef, fix: str | None, digest: str | None, *, by_ref: bool) -> bool:
        """Whether this value was sent from the ref (`by_ref`), or this value or fix from the chain of the root."""
        if by_ref:
            return digest in self._by_ref.get(ref, ())
        tried = self._by_root.get(root, set())
        return ("fix", fix) in tried or ("value", digest) in tried


def quarantined_refs(lake: Lake, topic: str, refs: Collection[RecordRef]) -> Iterator[RecordRef]:
    """Those of the records that are in quarantine."""
    yield from (
        read_rows(lake, QuarantineFilter(topic, places=frozenset(refs)), KEY_COLUMNS)
        .select("partition", "offset")
        .iter_rows()
    )
