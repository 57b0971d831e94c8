"""Checks: queries that return the rows at fault. A check without rows passes.

The header of a model in gold implies some checks (`generated_checks`): the grain is unique, no key is null, a version
key points to the version valid at the event time, versions do not overlap. Other checks are written by hand in
`<model>.checks.sql` beside the model.

`-- fail: ...` stops the refresh before its commit. `-- warn: ...` is counted in `ops.gold_warnings`. A check reads
`changed.<model>`, the rows that the refresh wrote, where reading the whole table would cost more with every day.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from pipelines.errors import CheckFailedError
from warehouse.registry import Member, Model, names, registry, scoped

_HEADER = re.compile(r"-- (fail|warn): (.+)")
_END = re.compile(r";[ \t]*(?:\n|$)")
_CHANGED = re.compile(r"\bchanged\.([a-z_0-9]+)")
_SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One query. Its rows are the violations."""

    model: str
    action: str  # fail or warn
    claim: str  # holds if the query returns no rows
    sql: str

    @property
    def reads_refresh(self) -> bool:
        """Whether it reads tables that exist during a refresh only, besides `changed.<model>`."""
        return any(f"{schema}." in self.sql for schema in ("affected", "replaced", "silver"))

    def over_whole_tables(self) -> str:
        """The query over all rows of the tables in place of the rows that one refresh wrote."""
        # In brackets, because a check may join the changed rows with the whole table of the same name.
        return _CHANGED.sub(lambda found: f"(from {_full_name(found[1])})", self.sql)


def checks_of(model: Model) -> tuple[Check, ...]:
    """The checks of a model: generated ones first, then those of its file. Raises ValueError as `read_checks` does."""
    return (*generated_checks(model), *read_checks(model.checks, model.full_name))


@cache
def read_checks(path: Path, model: str) -> tuple[Check, ...]:
    """The checks in a file, in order; () if there is no file. Raises ValueError if a query has no header."""
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


def generated_checks(model: Model) -> tuple[Check, ...]:
    """The checks that the header of a dimension, a fact or an aggregate in gold implies; () for any other model."""
    if model.schema != "gold":
        return ()
    match model.kind:
        case "members":
            found = _dimension(model)
        case "history":
            found = _history(model)
        case "fact":
            found = _fact(model)
        case "days":
            found = _keyed(model, names(model.header["grain"]))
        case _:
            return ()
    return tuple(Check(model.full_name, action, claim, sql) for action, claim, sql in found)


_Generated = Iterator[tuple[str, str, str]]  # action, claim, SQL


def _dimension(model: Model) -> _Generated:
    """A dimension without history: one row a member and one member a key, and the two special rows."""
    table, member = model.full_name, model.header["grain"]
    key = model.header["key"].partition(": ")[0]
    yield (
        "fail",
        f"a {member} has one row, and a {key} one member",
        f"""select {member}, {key}
from {table}
qualify count(*) over (partition by {key}) > 1
    or ({key} >= 0 and count(*) over (partition by {key} >= 0, {member}) > 1)""",
    )
    yield (
        "fail",
        "the special rows -1 and -2 exist",
        f"select count(*) from {table} where {key} in (-1, -2) having count(*) <> 2",
    )


def _history(model: Model) -> _Generated:
    """An SCD2 dimension: the versions of a member are unique, adjacent and numbered, and at most one is current."""
    key, _, member = model.header["key"].partition(": ")
    changed = f"changed.{model.name}"
    is_by_day = "scope" in model.header  # computed by day: `changed` holds the later versions of a member only
    same_keys = changed if is_by_day else f"{model.full_name}\nsemi join {changed} using ({key})"
    yield (
        "fail",
        f"a version has its own {member} and valid_from",
        f"""select {member}, valid_from, count(*)
from {changed}
where {key} > 0
group by {member}, valid_from
having count(*) > 1""",
    )
    yield (
        "fail",
        f"a {key} has one version",
        f"""select {key}, count(*)
from {same_keys}
group by {key}
having count(*) > 1""",
    )
    yield (
        "fail",
        "a member has one current version, or none after a delete",
        f"""select {member}
from {changed}
where {key} > 0
group by {member}
having count(*) filter (is_current) <> case when arg_max(is_deleted, version) then 0 else 1 end""",
    )
    if is_by_day:
        return  # written by hand: versions count on from those that the refresh left as they are
    yield (
        "fail",
        "versions do not overlap, and only a delete leaves a gap",
        f"""select {member}, valid_from, valid_to, next_from
from (
    select *, lead(valid_from) over (partition by {member} order by valid_from) as next_from
    from {changed}
    where {key} > 0
)
where valid_to <= valid_from
    or effective_to is distinct from next_from
    or valid_to > next_from
    or (valid_to is distinct from next_from and not is_deleted)""",
    )
    yield (
        "fail",
        "the current version is open; versions count from 1, and an inferred member is version 0",
        f"""select {member}, version, is_current, valid_to
from (
    select
        *,
        row_number() over (partition by {member} order by valid_from) as number,
        max(is_inferred) over (partition by {member}) as has_inferred,
    from {changed}
    where {key} > 0
)
where is_current <> (valid_to is null)
    or version <> number - has_inferred::integer
    or is_inferred <> (version = 0)""",
    )


def _fact(model: Model) -> _Generated:
    """A fact of events. Its grain has the event time, because an event_id may occur again beyond the horizon (R21)."""
    yield from _keyed(model, (*names(model.header["grain"]), "event_time"))
    yield (
        "warn",
        "an event_id does not occur again beyond the deduplication horizon",
        f"select event_id from changed.{model.name} group by event_id having min(event_time) <> max(event_time)",
    )
    for member in model.members:
        yield "fail", f"{member.key} is the version of {member.id_column} valid at {member.at}", _version(model, member)


def _keyed(model: Model, grain: Sequence[str]) -> _Generated:
    """A table with keys: its grain is unique and no key is null."""
    columns = ", ".join(grain)
    keys = [column for column in model.columns if column.endswith("_key")]
    yield (
        "fail",
        f"the grain is unique: {columns}",
        f"""select {columns}, count(*)
from changed.{model.name}
group by {columns}
having count(*) > 1""",
    )
    yield (
        "fail",
        "no key is null",
        f"""select {", ".join(dict.fromkeys([*grain, *keys]))}
from changed.{model.name}
where {" or ".join(f"{column} is null" for column in dict.fromkeys([*names(model.header["grain"]), *keys]))}""",
    )


def _version(model: Model, member: Member) -> str:
    key, id_column, at = member.key, member.id_column, member.at
    return f"""select fact.{", fact.".join(dict.fromkeys([*names(model.header["grain"]), id_column, at, key]))}
from changed.{model.name} as fact
left join gold.{member.dimension} as dim on fact.{key} = dim.{key}
where dim.{key} is null
    or (fact.{id_column} is null) <> (fact.{key} < 0)
    or (
        fact.{key} > 0
        and (
            fact.{id_column} <> dim.{id_column}
            or fact.{at} < dim.valid_from
            or fact.{at} >= coalesce(dim.effective_to, 'infinity')
        )
    )"""


@cache
def _full_name(name: str) -> str:
    return next(model.full_name for model in registry() if model.name == name and model.schema in ("gold", "marts"))


def run_checks(
    connection: duckdb.DuckDBPyConnection, models: Iterable[Model], *, reads_open_days_only: Mapping[str, bool]
) -> Sequence[tuple[Check, int]]:
    """Runs the checks of the models. Returns each `warn` check that found rows, with their number.

    `reads_open_days_only` says for each model whether its check may read the facts of open days alone. Raises
    CheckFailedError for the first `fail` check that found rows, with a sample of them.
    """
    warned: list[tuple[Check, int]] = []
    for model in models:
        checks = checks_of(model)
        if not checks:
            continue
        is_open = reads_open_days_only.get(model.full_name, False)
        bodies = [scoped(check.sql, open_days_only=is_open) for check in checks]
        counts = ", ".join(f"(select count(*) from (\n{body}\n))" for body in bodies)
        (found,) = connection.execute(f"select {counts}").fetchall()
        for check, body, rows in zip(checks, bodies, found, strict=True):
            if rows and check.action == "warn":
                warned.append((check, rows))
            elif rows:
                sample = connection.sql(f"select * from (\n{body}\n) limit {_SAMPLE}").to_arrow_table().to_pylist()
                raise CheckFailedError(
                    f"{check.model}: {check.claim}: {rows} rows violate this, for example {sample};"
                    " nothing was committed or published, readers keep the last refresh"
                )
    return warned
