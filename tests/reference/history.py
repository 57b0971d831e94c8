"""Versions of customers, products and titles, computed per key from the changes. Source: R31-R33, R41."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .contract_table import KEYS, MASTER, members
from .silver import Verdict

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)  # valid_from of an inferred member
TRACKED = {
    "customer-profiles": ("loyalty_tier", "city", "country"),
    "product-catalog": ("category", "title_id", "supplier_id", "list_price", "unit_cost", "status"),
    "anime-schedule": ("age_rating", "release_date", "run_start", "run_end", "status"),
}
PERSONAL = ("name", "email", "birth_date")
NOT_ATTRIBUTES = ("event_id", "event_time", "event_type")


@dataclass(slots=True)
class Version:
    """One SCD2 row. `attributes` are the contract's members except the key; empty if none are known."""

    key: str
    valid_from: datetime
    valid_to: datetime | None
    version: int
    is_inferred: bool = False
    is_deleted: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    shown: Verdict | None = None  # the change that provides the attributes

    @property
    def is_current(self) -> bool:
        return self.valid_to is None


@dataclass(frozen=True, slots=True)
class Need:
    """A fact's reference to a member at a time."""

    topic: str
    key: str
    event_time: datetime


def histories(accepted: Iterable[Verdict], needs: Iterable[Need]) -> dict[tuple[str, str], list[Version]]:
    """Return all versions by (topic, key), ordered by valid_from, including inferred ones that a fact needs."""
    changes: dict[tuple[str, str], list[Verdict]] = {}
    for one in accepted:
        topic = one.record.topic
        if topic in MASTER:
            changes.setdefault((topic, one.row[KEYS[topic]]), []).append(one)
    needed: dict[tuple[str, str], list[datetime]] = {}
    for need in needs:
        needed.setdefault((need.topic, need.key), []).append(need.event_time)
    found = {
        (topic, key): one_history(topic, key, changes.get((topic, key), []), needed.get((topic, key), []))
        for topic, key in {**changes, **needed}
    }
    return {place: versions for place, versions in found.items() if versions}


def one_history(topic: str, key: str, changes: list[Verdict], needed: list[datetime]) -> list[Version]:
    """Return the versions of one key. `needed` are the times of the facts that refer to it."""
    ordered = sorted(changes, key=lambda one: (one.row["event_time"], one.record.partition, one.record.offset))
    last_at = {one.row["event_time"]: one for one in ordered}  # of several changes at one instant only the last counts
    versions: list[Version] = []
    for moment, one in last_at.items():
        open_version = versions[-1] if versions and versions[-1].valid_to is None else None
        if one.row["event_type"] == "delete":
            if open_version:
                open_version.valid_to, open_version.is_deleted = moment, True
            continue
        attributes = {
            member.name: one.row[member.name]
            for member in members(topic)
            if member.name not in (*NOT_ATTRIBUTES, KEYS[topic])
        }
        if open_version and all(open_version.attributes[name] == attributes[name] for name in TRACKED[topic]):
            open_version.attributes, open_version.shown = attributes, one  # untracked columns show the last value
            continue
        if open_version:
            open_version.valid_to = moment
        versions.append(Version(key, moment, None, len(versions) + 1, attributes=attributes, shown=one))
    first = versions[0] if versions else None
    if any(first is None or moment < first.valid_from for moment in needed):
        versions.insert(0, _inferred(key, first))
    if topic == "customer-profiles":
        for version in versions:  # a delete blanks everything before it, even if it lost a tie
            after = ordered[ordered.index(version.shown) :] if version.shown else []
            if any(one.row["event_type"] == "delete" for one in after):
                version.attributes = {**version.attributes, **dict.fromkeys(PERSONAL)}
    return versions


def _inferred(key: str, first: Version | None) -> Version:
    if first is None:
        return Version(key, BEGINNING, None, 0, is_inferred=True)
    attributes = {name: None if name == "unit_cost" else value for name, value in first.attributes.items()}
    return Version(key, BEGINNING, first.valid_from, 0, is_inferred=True, attributes=attributes, shown=first.shown)


def version_at(versions: list[Version], moment: datetime) -> Version:
    """Return the version that a fact of that time joins; in a deletion gap, the version that the delete closed."""
    return [version for version in versions if version.valid_from <= moment][-1]
