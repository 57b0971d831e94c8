"""SQL of slowly changing dimensions, type 2, for all four histories (R31-R34, R41).

Versions are computed from all changes of a member, not patched, so the order of arrival has no effect.
`work.<dimension>_changes` holds one row per change, in the columns of the model and event_type, event_time, _partition
and _offset. `work.<dimension>_first_fact` holds the earliest fact of each member, which decides whether an inferred
version is needed. Every statement reads only the members in `temp.affected_<dimension>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.registry import Model, names
from warehouse.storage.macros import BEGINNING

CHANGE_COLUMNS = ("event_type", "event_time", "_partition", "_offset", "_recorded_at")


@dataclass(frozen=True, slots=True)
class History:
    """A dimension with history."""

    name: str  # dim_customer
    key: str  # customer_key
    id: str  # customer_id
    attributes: Sequence[str]
    tracked: Sequence[str]  # attributes whose change opens a version; the others are type 1
    personal: Sequence[str] = ()  # null in every version up to a delete
    unpriced: Sequence[str] = ()  # null in an inferred version
    is_by_day: bool = False  # computed by day: the changes are those of the recomputed days only

    @property
    def changes(self) -> str:
        """The table of changes."""
        return f"temp.changes_{self.name}" if self.is_by_day else f"work.{self.name}_changes"


def history_of(model: Model, columns: Sequence[str]) -> History:
    """The history that a model's header describes. `columns` are the columns of its statement."""
    key, id_column = model.header["key"].split(": ")
    attributes = [column for column in columns if column != id_column and column not in CHANGE_COLUMNS]
    tracked, personal = names(model.header["tracked"]), names(model.header.get("personal", ""))
    unpriced = names(model.header.get("unpriced", ""))
    return History(model.name, key, id_column, attributes, tracked, personal, unpriced, "scope" in model.header)


def blank_personal(history: History) -> str:
    """Sets the personal columns to null in the stored changes up to the last delete of a member."""
    blanks = ", ".join(f"{column} = null" for column in history.personal)
    filled = " or ".join(f"changes.{column} is not null" for column in history.personal)
    changes, affected = f"work.{history.name}_changes", f"temp.affected_{history.name}"
    return f"""
        update {changes} as changes set {blanks}
        from (
            select {history.id}, max((event_time, _partition, _offset)) as deleted_at
            from {changes} semi join {affected} using ({history.id})
            where event_type = 'delete'
            group by all
        ) as deletes
        where changes.{history.id} = deletes.{history.id} and ({filled})
            and (changes.event_time, changes._partition, changes._offset) <= deletes.deleted_at"""


def versions(history: History) -> str:
    """All versions of the affected members, inferred ones included, in the columns of the dimension.

    The windows carry the tracked columns only. The other columns are joined at the end from a version's last change.
    """
    if history.is_by_day:
        return _versions_by_day(history)
    id_column, changes = history.id, history.changes
    change = f"{id_column}, event_time, _partition, _offset"
    tracked = ", ".join(history.tracked)
    differs = " or ".join(f"{column} is distinct from lag({column}) over in_time" for column in history.tracked)
    attributes = ", ".join(f"last_change.{column}" for column in history.attributes)
    first = ", ".join(
        f"null as {column}" if column in history.unpriced else f"first_change.{column}" for column in history.attributes
    )
    return f"""
        with
        -- Of several changes at one instant only the last counts: no version has length zero.
        changes as (
            select {id_column}, event_time, event_type, {tracked}, _partition, _offset,
            from {changes} as changes
            semi join temp.affected_{history.name} using ({id_column})
            qualify row_number() over (
                partition by {id_column}, event_time order by _partition desc, _offset desc
            ) = 1
        ),
        compared as (
            select {id_column}, event_time, event_type, _partition, _offset,
                lag(event_type) over in_time as type_before,
                {differs} as is_different,
            from changes
            window in_time as (partition by {id_column} order by event_time)
        ),
        -- A version starts with the first upsert, an upsert after a delete, or one that differs. Earlier deletes have
        -- version 0.
        numbered as (
            select {id_column}, event_time, event_type, _partition, _offset,
                count(*) filter (
                    event_type = 'upsert' and (type_before is distinct from 'upsert' or is_different)
                ) over (partition by {id_column} order by event_time) as version,
            from compared
        ),
        spans as (
            select {id_column}, version,
                min(event_time) as valid_from,
                min(event_time) filter (event_type = 'delete') as deleted_at,
                max(event_time) filter (event_type = 'upsert') as event_time,
                arg_max(_partition, event_time) filter (event_type = 'upsert') as _partition,
                arg_max(_offset, event_time) filter (event_type = 'upsert') as _offset,
            from numbered
            where version > 0
            group by {id_column}, version
        ),
        real as materialized (
            select *, lead(valid_from) over (partition by {id_column} order by version) as effective_to from spans
        )
        select
            version_key({id_column}, valid_from) as {history.key},
            {id_column},
            {attributes},
            valid_from,
            coalesce(deleted_at, effective_to) as valid_to,
            coalesce(deleted_at, effective_to) is null as is_current,
            deleted_at is not null as is_deleted,
            false as is_inferred,
            version::integer as version,
            effective_to,
        from real
        join {changes} as last_change using ({change})
        union all
        select
            surrogate_key({id_column}),
            {id_column},
            {first},
            {BEGINNING},
            first_real.valid_from,
            first_real.valid_from is null,
            false,
            true,
            0,
            first_real.valid_from,
        from work.{history.name}_first_fact as first_fact
        semi join temp.affected_{history.name} using ({id_column})
        left join (select {change}, valid_from from real where version = 1) as first_real using ({id_column})
        left join {changes} as first_change using ({change})
        where first_real.valid_from is null or first_fact.first_fact_at < first_real.valid_from"""


def _versions_by_day(history: History) -> str:
    """All versions from changes by day: at most one a day, and every upsert differs, so each opens a version.

    Earlier versions stay as they are and the numbers continue from theirs. There are no inferred versions.
    """
    return f"""
        select
            version_key({history.id}, event_time) as {history.key},
            {history.id},
            {", ".join(history.attributes)},
            event_time as valid_from,
            next_at as valid_to,
            next_at is null as is_current,
            next_type is not distinct from 'delete' as is_deleted,
            false as is_inferred,
            (version + versions_before)::integer as version,
            case when next_type = 'delete' then after_next_at else next_at end as effective_to,
            to_date_key(utc_day(effective_to)) as date_key,
        from (
            select *,
                lead(event_time) over in_time as next_at,
                lead(event_type) over in_time as next_type,
                lead(event_time, 2) over in_time as after_next_at,
                count(*) filter (event_type = 'upsert') over in_time as version,
            from {history.changes}
            join temp.affected_{history.name} using ({history.id})
            window in_time as (partition by {history.id} order by event_time)
        )
        where event_type = 'upsert'"""


def moved(history: History) -> str:
    """The time spans in which facts of an affected member join another version, or one with other tracked values.

    The old versions are in the dimension, the new ones in `temp.changed_<dimension>`. Every fact had a version, so only
    time that the old versions cover matters.
    """
    tracked = ", ".join(history.tracked)
    old = f"row({', '.join(f'old.{column}' for column in history.tracked)})"
    new = f"row({', '.join(f'new.{column}' for column in history.tracked)})"
    return f"""
        with
        old as (
            select {history.key}, {history.id}, {tracked}, valid_from,
                coalesce(effective_to, 'infinity') as effective_to,
            from gold.{history.name}
            semi join temp.affected_{history.name} using ({history.id})
            where {history.key} > 0
        ),
        new as (
            select {history.key}, {history.id}, {tracked}, valid_from, is_inferred,
                coalesce(effective_to, 'infinity') as effective_to,
            from temp.changed_{history.name}
        )
        select
            {history.id},
            greatest(old.valid_from, new.valid_from, first_fact.first_fact_at) as moved_from,
            least(old.effective_to, new.effective_to) as moved_to,
        from old
        join new using ({history.id})
        join work.{history.name}_first_fact as first_fact using ({history.id})
        where greatest(old.valid_from, new.valid_from, first_fact.first_fact_at)
                < least(old.effective_to, new.effective_to)
            and (old.{history.key} <> new.{history.key} or (not new.is_inferred and {old} is distinct from {new}))"""
