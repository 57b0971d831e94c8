"""Layouts that this process has learned from sample values, compiled to patterns.

Layouts affect how fast records are read, and never the result.
"""

from dataclasses import dataclass, replace
from threading import Lock

import polars as pl

from pipelines.contracts.registry import Contract
from pipelines.parsing.layout import Layout, derive
from pipelines.parsing.layout_pattern import pattern
from pipelines.parsing.values import ParseRules

_MAX_LAYOUTS = 16  # per topic and currency


@dataclass(slots=True)
class CompiledLayout:
    """A layout with its pattern, and how many records matched it."""

    layout: Layout
    pattern: str
    extras: tuple[str, ...]
    unrounded: str | None  # of a layout that rounds: the pattern of the records that need no rounding
    hits: int = 0

    def matches(self, value: str) -> bool:
        """Whether a value has this layout. Patterns are in Rust's syntax, so Polars evaluates them."""
        return bool(pl.Series([value]).str.contains(self.pattern).item())


def _compile(contract: Contract, rules: ParseRules, layout: Layout) -> CompiledLayout | None:
    text = pattern(contract, rules, layout)
    unrounded = pattern(contract, rules, replace(layout, rounds=False)) if layout.rounds else None
    return None if text is None else CompiledLayout(layout, text, layout.extras(contract), unrounded)


class Layouts:
    """The compiled layouts of all topics. Threads may share one."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], list[CompiledLayout]] = {}
        self._lock = Lock()

    def compiled(self, contract: Contract, rules: ParseRules) -> list[CompiledLayout]:
        """The topic's layouts: those that round last, else the most used first."""
        with self._lock:
            known = self._compiled.get((contract.topic, rules.currency), [])
            return sorted(known, key=lambda layout: (layout.layout.rounds, -layout.hits))

    def learn(self, contract: Contract, rules: ParseRules, value: str) -> CompiledLayout | None:
        """Add and return a layout that matches this valid event; None where no pattern does.

        It is merged with the known layouts that it can cover, and replaces them. The least used layout is dropped where
        there are too many.
        """
        derived = derive(contract, value)
        if derived is None:
            return None
        known = self.compiled(contract, rules)
        for layout in (derived, replace(derived, rounds=True)):
            wide = layout
            for old in known:
                wide = old.layout.merged(wide, contract) or wide
            for choice in dict.fromkeys((wide, layout)):
                new = _compile(contract, rules, choice)
                if new is not None and new.matches(value):
                    self._keep(contract, rules, new)
                    return new
        return None

    def _keep(self, contract: Contract, rules: ParseRules, new: CompiledLayout) -> None:
        with self._lock:
            known = self._compiled.setdefault((contract.topic, rules.currency), [])
            known[:] = [old for old in known if not new.layout.covers(old.layout, contract)]
            if len(known) >= _MAX_LAYOUTS:
                known.remove(min(known, key=lambda old: old.hits))
            known.append(new)

    def count_hits(self, layout: CompiledLayout, hits: int) -> None:
        """Count the records of a batch that matched a layout. Earlier batches count less and less."""
        with self._lock:
            layout.hits = layout.hits * 7 // 8 + hits
