"""References to bronze records by partition and offset, and reading the records they name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.errors import UsageError
from pipelines.lake.catalog import LakeTable

RecordRef = tuple[int, int]  # partition, offset


def read_records(bronze: LakeTable, places: Sequence[RecordRef], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Bronze rows of these (partition, offset)."""
    if places:
        bronze.reload()  # others write it: what is held may be old, and its files compacted away
    for partition, offsets in by_partition(places).items():
        yield from bronze.read_in("offset", offsets, columns, {"partition": partition})


def by_partition(places: Sequence[RecordRef]) -> Mapping[int, list[int]]:
    """Sorted offsets by partition."""
    found: dict[int, list[int]] = {}
    for partition, offset in sorted(places):
        found.setdefault(partition, []).append(offset)
    return found


_REF = ["partition", "offset"]


def ref_text(place: RecordRef) -> str:
    """`partition/offset`."""
    return f"{place[0]}/{place[1]}"


def parse_record_ref(text: str) -> RecordRef:
    """A place as `--offset` takes it. Raises UsageError."""
    partition, slash, offset = text.partition("/")
    try:
        place = int(partition), int(offset)
    except ValueError:
        place = (-2, -1)
    if not slash or not (-1 <= place[0] < 2**31 and 0 <= place[1] < 2**63):
        raise UsageError(f"--offset {text}: expected PARTITION/OFFSET, such as 2/1017 (-1/5: line of a landing file)")
    return place
