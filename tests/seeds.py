"""Seeds of a random test: the first few always, the others among the slow tests."""

import pytest


def seeds(first: int, end: int, *, quick: int = 1) -> list[object]:
    """`first` to `end`, of which all but `quick` are marked slow."""
    slow = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(first + quick, end))
    return [*range(first, first + quick), *slow]
