"""How one producer writes the events of a topic, as a value."""

import re
from dataclasses import dataclass, replace

from pipelines.contracts.registry import Contract
from pipelines.parsing.json_text import read

_EXTRA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}").fullmatch
_MAX_EXTRAS = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How one producer writes: the order of members in the record and in a line, the spacing, escapes, decimals."""

    names: tuple[str, ...]
    line_names: tuple[str, ...]  # empty if the topic has no lines
    colon: str
    comma: str
    escapes: bool  # whether texts may contain escapes; a pattern without them is faster
    rounds: bool = False  # whether amounts may have more decimals than are stored

    def extras(self, contract: Contract) -> tuple[str, ...]:
        """Names that the contract does not have, in their order."""
        known = {field.name for field in contract.fields}
        return tuple(name for name in self.names if name not in known)

    def covers(self, other: "Layout", contract: Contract) -> bool:
        """Whether every value of the other layout also matches this one."""
        same = (self.colon, self.comma, self.extras(contract)) == (other.colon, other.comma, other.extras(contract))
        lines = _is_subsequence(other.line_names, self.line_names)
        same = same and (self.escapes or not other.escapes) and self.rounds == other.rounds
        return same and self.names[0] == other.names[0] and _is_subsequence(other.names, self.names) and lines

    def merged(self, other: "Layout", contract: Contract) -> "Layout | None":
        """A layout that covers both; None where they differ in more than optional members."""
        same = (self.colon, self.comma, self.rounds, self.extras(contract)) == (
            other.colon, other.comma, other.rounds, other.extras(contract)
        )  # fmt: skip
        names, line_names = _merge(self.names, other.names), _merge(self.line_names, other.line_names)
        if not same or self.names[0] != other.names[0] or names is None or line_names is None:
            return None
        return replace(self, names=names, line_names=line_names, escapes=self.escapes or other.escapes)


def _merge(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names of both, in an order that keeps the order of each; None where there is no such order."""
    merged: list[str] = []
    rest = list(some)
    for name in others:
        if name in rest:
            upto = rest.index(name) + 1
            merged += rest[:upto]
            del rest[:upto]
        elif name in merged:
            return None
        else:
            merged.append(name)
    return (*merged, *rest)


def _is_subsequence(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    rest = iter(whole)
    return all(name in rest for name in part)


def derive(contract: Contract, value: str) -> Layout | None:
    """The layout that a valid event seems to have. Its pattern decides whether the event matches.

    None where the fast path cannot read the names.
    """
    tree = read(value.encode())
    names = tuple(name for name, _ in tree)
    known = {field.name for field in contract.fields}
    extras = [name for name in names if name not in known]
    # DuckDB ignores the case of names, so no two names may differ in case alone.
    are_distinct = len({name.lower() for name in (*known, *extras)}) == len(known) + len(extras)
    if (
        len(set(names)) != len(names)
        or not are_distinct
        or len(extras) > _MAX_EXTRAS
        or not all(map(_EXTRA_NAME, extras))
    ):
        return None
    field = contract.line_field
    lines = [line for name, part in tree if field is not None and name == field.name for line in part]
    line_names = max((tuple(name for name, _ in line) for line in lines), key=len, default=())
    start = f'{{"{names[0]}":'
    colon, comma = (": ", ", ") if value.startswith(f"{start} ") else (":", ",")  # as json.dumps, or without spaces
    return Layout(names, line_names, colon, comma, "\\" in value)
