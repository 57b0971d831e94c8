"""The error message for a topic whose log is not the one that bronze has read."""

from collections.abc import Iterable

from pipelines.bronze.incarnations import STRIDE
from pipelines.bronze.position import Position
from pipelines.bronze.topic_identity import Gap, TopicComparison

_MAX_LISTED = 8


def gap_message(topic: str, table: str, position: Position, log_id: str, comparison: TopicComparison) -> str:
    """What was expected, what was found, which records are lost, and what to do."""
    gaps = comparison.gaps
    causes = {gap.cause for gap in gaps}
    if causes == {"retention"}:
        return _retention(topic, table, gaps)
    new_numbers = (
        f"Bronze then numbers the topic's partitions from {(position.newest + 1) * STRIDE} on, so that no two records "
        "share partition and offset."
    )
    if "log_restored" in causes:
        return f"{_older_copy(topic, table, gaps)} {new_numbers}"
    is_recreated = "topic_made_anew" in causes
    state = "the topic was deleted and recreated" if is_recreated else "this is a different log"
    read = _listed(f"partition {gap.partition} up to {gap.offset_from - 1}" for gap in gaps if gap.offset_from > 0)
    what = "topic" if is_recreated else "log"
    return (
        f"{topic}: {state}: expected topic {position.topic_id} of log {position.log_id}, found topic "
        f"{comparison.state.topic_id} of log {log_id}. {table} has read {read or 'nothing'} of the old {what}. "
        f"Later records of the old {what} are lost and cannot be counted. No records were read now. "
        f"If ANIMEVERSE_LOG_URL is wrong, correct it. Otherwise run {_resume(topic)} at the "
        f"first record of the new {what}. {new_numbers}"
    )


def _retention(topic: str, table: str, gaps: Iterable[Gap]) -> str:
    lost = sum(gap.records_lost or 0 for gap in gaps)
    ranges = _listed(
        f"partition {gap.partition}: offsets {gap.offset_from} to {gap.offset_to} ({gap.records_lost:,} records; "
        f"the log begins at {(gap.offset_to or 0) + 1})"
        for gap in gaps
    )
    return (
        f"{topic}: {lost:,} records are lost: retention removed them from the log before {table} had read them. "
        f"{ranges}. No records were read now. Restore them to the log, or run {_resume(topic)} at the first record of "
        "the log."
    )


def _older_copy(topic: str, table: str, gaps: Iterable[Gap]) -> str:
    ranges = _listed(
        f"partition {gap.partition}: read up to {gap.offset_to}, but from {gap.offset_from} on the log has other "
        "records or none"
        for gap in gaps
        if gap.cause == "log_restored"
    )
    return (
        f"{topic}: the log is an older copy of the one that {table} was read from, such as a restored backup: bronze "
        f"holds records that the log does not. {ranges}. No record that was read is lost. No records were read now. "
        f"Restore the newer log, or run {_resume(topic)} after the last record that both hold."
    )


def _resume(topic: str) -> str:
    return f"`animeverse resume {topic}`, which records the gap in ops.log_gaps and continues"


def _listed(parts: Iterable[str]) -> str:
    texts = list(parts)
    more = f" and {len(texts) - _MAX_LISTED} more" if len(texts) > _MAX_LISTED else ""
    return "; ".join(texts[:_MAX_LISTED]) + more
