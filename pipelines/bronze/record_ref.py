"""References to bronze records by partition and offset, and reading the records they name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.errors import UsageError
from pipelines.lake.table import LakeTable

RecordRef = tuple[int, int]  # (partition, offset): identifies a record of a topic
REF_COLUMNS = ["partition", "offset"]


def read_records(bronze: LakeTable, refs: Sequence[RecordRef], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Bronze rows of these records. Loads the table again first, because a compaction may have replaced its files."""
    if refs:
        bronze.reload()
    for partition, offsets in by_partition(refs).items():
        yield from bronze.read_in("offset", offsets, columns, {"partition": partition})


def by_partition(refs: Sequence[RecordRef]) -> Mapping[int, list[int]]:
    """Sorted offsets by partition."""
    offsets: dict[int, list[int]] = {}
    for partition, offset in sorted(refs):
        offsets.setdefault(partition, []).append(offset)
    return offsets


def ref_text(ref: RecordRef) -> str:
    """`partition/offset`."""
    return f"{ref[0]}/{ref[1]}"


def parse_record_ref(text: str) -> RecordRef:
    """Parse the value of the option `--offset`. Raises UsageError."""
    partition, slash, offset = text.partition("/")
    try:
        ref = int(partition), int(offset)
    except ValueError:
        ref = (-2, -1)
    if not slash or not (-1 <= ref[0] < 2**31 and 0 <= ref[1] < 2**63):
        raise UsageError(f"--offset {text}: expected PARTITION/OFFSET, such as 2/1017 (-1/5: line of a landing file)")
    return ref


_REF = REF_COLUMNS  # imported by pipelines/operations on main
