"""The result of one check of `verify`."""

from dataclasses import dataclass

import polars as pl

from pipelines.operations.record_frames import REF

MAX_SHOWN = 5  # offenders that a detail names


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: what was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


def no_offenders(name: str, offenders: pl.DataFrame, detail: str = "") -> Check:
    """Return a check that holds without offenders (`partition`, `offset`) and otherwise names the first ones."""
    if not len(offenders):
        return Check(name, True, detail)
    first = ", ".join(f"{p}/{o}" for p, o in offenders.select(REF).sort(REF).head(MAX_SHOWN).iter_rows())
    more = f" and {len(offenders) - MAX_SHOWN:,} more" if len(offenders) > MAX_SHOWN else ""
    context = f" ({detail})" if detail else ""
    return Check(name, False, f"{len(offenders):,} off, at partition/offset {first}{more}{context}")
