"""The error message for a topic whose log is not the one bronze has read."""

from collections.abc import Iterable

from pipelines.bronze.incarnations import STRIDE
from pipelines.bronze.position import Position
from pipelines.bronze.topic_identity import Gap, TopicComparison

_SHOWN = 8


def gap_message(topic: str, table: str, position: "Position", log_id: str, seen: TopicComparison) -> str:
    """The gaps as a message: what was expected, what was found, what is lost, and the ways on."""
    found, state = seen.gaps, seen.state
    lost = sum(gap.records_lost or 0 for gap in found)
    causes = {gap.cause for gap in found}
    ways = f"`animeverse resume {topic}` notes it in ops.log_gaps and reads on"
    if causes == {"retention"}:
        shown = _listed(
            f"partition {gap.partition}: {_range(gap)} ({gap.records_lost:,} records; the log begins at "
            f"{(gap.offset_to or 0) + 1})"
            for gap in found
        )
        return (
            f"{topic}: {lost:,} records are lost: retention took them from the log before {table} had read them. "
            f"{shown}. Nothing was read now. Restore them to the log, or: {ways} from what the log still holds."
        )
    numbers = (
        f"in bronze its partitions get numbers of their own, from {(position.newest + 1) * STRIDE} on, so that no two "
        "records share partition and offset"
    )
    if "log_restored" in causes:
        shown = _listed(
            f"partition {gap.partition}: read up to {gap.offset_to}, but from {gap.offset_from} on the log has other "
            "records or none"
            for gap in found
            if gap.cause == "log_restored"
        )
        return (
            f"{topic}: the log is not the one that {table} was read from but an older copy of it, restored from a "
            f"backup perhaps: bronze holds records that the log does not. {shown}. No record "
            "that was read is lost. Nothing was read now. Bring the newer log back, or: "
            f"{ways} behind the last record that both hold; {numbers}."
        )
    read = _listed(f"partition {gap.partition} up to {gap.offset_from - 1}" for gap in found if gap.offset_from > 0)
    what, where = (
        ("topic", "topic was deleted and made anew") if "topic_made_anew" in causes else ("log", "log is another one")
    )
    return (
        f"{topic}: the {where}: expected topic {position.topic_id} of log {position.log_id}, found topic "
        f"{state.topic_id} of log {log_id}. {table} has read {read or 'nothing'} of the old {what}; what it held "
        "behind that is lost, and nobody can count it any more. Nothing was read now. If ANIMEVERSE_LOG_URL is wrong, "
        f"mend it. Or: {ways} from the new {what}'s first record; {numbers}."
    )


def _range(gap: Gap) -> str:
    return f"offsets {gap.offset_from} to {gap.offset_to}"


def _listed(parts: Iterable[str]) -> str:
    texts = list(parts)
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
