"""Checks: queries beside each model that return offending rows; no rows is a pass.

A check's header says how bad it is: `-- fail: a customer has one current version` stops the refresh before it is
committed, `-- warn: ...` is counted in `ops.gold_rule_counts`. What costs by history reads `changed.<model>` (the
rows this refresh wrote) or `affected.<dimension>` (the keys it touched) instead of the whole table.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from pipelines.errors import CheckFailedError
from warehouse.registry import Model, scoped

_HEADER = re.compile(r"-- (fail|warn): (.+)")
_END = re.compile(r";[ \t]*(?:\n|$)")
SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One query; rows are offenders."""

    model: str
    action: str  # fail or warn
    claim: str  # what holds when there are no rows
    sql: str


@cache
def checks_of(path: Path, model: str) -> tuple[Check, ...]:
    """The checks in a file, in order. Raises ValueError where a query has no header."""
    if not path.exists():
        return ()
    found: list[Check] = []
    for part in _END.split(path.read_text(encoding="utf-8")):
        lines = part.strip().splitlines()
        if not lines:
            continue
        header = _HEADER.fullmatch(lines[0])
        if header is None:
            raise ValueError(f"{path}: expected `-- fail: claim` or `-- warn: claim`, found {lines[0]!r}")
        found.append(Check(model, header[1], header[2], "\n".join(lines[1:])))
    return tuple(found)


def run_checks(
    connection: duckdb.DuckDBPyConnection, models: Iterable[Model], *, native: Mapping[str, bool]
) -> Sequence[tuple[Check, int]]:
    """Runs the checks of the models; returns those of `warn` that found something, with how many rows.

    `native` says for each model whether its facts may be read from native days alone. Raises CheckFailedError, which
    names the first check that must hold and does not, with some of its rows.
    """
    warned: list[tuple[Check, int]] = []
    for model in models:
        checks = checks_of(model.checks, model.full_name)
        if not checks:
            continue
        bodies = [scoped(check.sql, native=native.get(model.full_name, False)) for check in checks]
        counts = ", ".join(f"(select count(*) from (\n{body}\n))" for body in bodies)
        (found,) = connection.execute(f"select {counts}").fetchall()
        for check, body, rows in zip(checks, bodies, found, strict=True):
            if rows and check.action == "warn":
                warned.append((check, rows))
            elif rows:
                sample = connection.sql(f"select * from (\n{body}\n) limit {SAMPLE}").to_arrow_table().to_pylist()
                raise CheckFailedError(
                    f"{check.model}: {check.claim}: {rows} rows say otherwise, for example {sample};"
                    " nothing was committed or published, readers keep the last refresh"
                )
    return warned
