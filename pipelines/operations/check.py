"""The result of one check of `verify`."""

from dataclasses import dataclass

import polars as pl

from pipelines.bronze.record_ref import _REF

_SHOWN = 5  # offenders named in a line


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: what was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


def _offenders(name: str, rows: pl.DataFrame, detail: str = "") -> Check:
    if not len(rows):
        return Check(name, True, detail)
    shown = ", ".join(f"{p}/{o}" for p, o in rows.select(_REF).sort(_REF).head(_SHOWN).iter_rows())
    more = f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return Check(
        name, False, f"{len(rows):,} off, at partition/offset {shown}{more}" + (f" ({detail})" if detail else "")
    )
