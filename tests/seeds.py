"""Seeds of a randomized test: a few run always, the others only with the slow tests."""

import pytest


def seeds(first: int, end: int, *, quick: int = 1) -> list[object]:
    """Return `first` to `end` (exclusive); all except the first `quick` are marked slow."""
    slow = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(first + quick, end))
    return [*range(first, first + quick), *slow]
