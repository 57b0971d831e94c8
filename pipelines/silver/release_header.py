"""The header of a released record: `animeverse-release: <topic>/<partition>/<offset>` of the quarantined one (R27)."""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

RELEASE_HEADER = "animeverse-release"
_REF = re.compile(rb"([a-z-]+)/(-?\d{1,10})/(\d{1,19})")


class ReleaseFlags(NamedTuple):
    """What the release headers of some records mean; one array element per record."""

    is_release: npt.NDArray[np.bool_]  # the header names a quarantined record of this topic
    is_repeated: npt.NDArray[np.bool_]  # of these: an earlier release of the same record was accepted


def release_mask(rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Which records carry the header, with any value."""
    headers = rows.column("headers")
    if headers.null_count == len(headers):
        return np.zeros(len(headers), bool)
    mask = np.zeros(len(headers), bool)
    has_headers = pc.fill_null(pc.greater(pc.list_value_length(headers), 0), False).to_numpy()
    for row in np.flatnonzero(has_headers):
        mask[row] = any(header["key"] == RELEASE_HEADER for header in headers[int(row)].as_py())
    return mask


def origins(topic: str, rows: pa.Table, mask: npt.NDArray[np.bool_]) -> dict[int, list[tuple[int, int]]]:
    """Row -> the (partition, offset) that its well-formed headers of this topic name, in their order."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(mask):
        for header in rows.column("headers")[int(row)].as_py():
            match = _REF.fullmatch(header["value"] or b"") if header["key"] == RELEASE_HEADER else None
            if match and match[1].decode() == topic and int(match[2]) < 2**31 and int(match[3]) < 2**63:
                found.setdefault(int(row), []).append((int(match[2]), int(match[3])))
    return found
