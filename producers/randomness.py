"""Seeded random streams and weighted choices. Each draw is a function of the seed and of names."""

import hashlib

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of that name. `stream(s, n).random(k)` is a prefix of `stream(s, n).random(k + 1)`."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *names))).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def fingerprint(*parts: object, digits: int) -> str:
    """Return `digits` hexadecimal digits of a hash of these parts' `repr`."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()[:digits]


def share_out(total: float, weights: Floats) -> Ints:
    """Divide `total` into integers in proportion to `weights`. Their sum is floor(total)."""
    if not len(weights) or weights.sum() <= 0:
        return np.zeros(len(weights), np.int64)
    edges = np.floor(total * (np.cumsum(weights) / weights.sum()) + 1e-9)
    pieces: Ints = np.diff(edges, prepend=0.0).astype(np.int64)
    return pieces


def log_uniform(chances: Floats, low: float, high: float | Floats) -> Ints:
    """Map uniform `chances` to log-uniform values between `low` and `high`."""
    return np.asarray(low * (np.asarray(high) / low) ** chances, dtype=np.int64)


class Odds:
    """A weighted choice among items, by index."""

    def __init__(self, weights: npt.ArrayLike) -> None:
        self._edges = np.cumsum(np.asarray(weights, dtype=np.float64))

    @property
    def total(self) -> float:
        """The sum of the weights. With 0 nothing can be picked."""
        return float(self._edges[-1]) if len(self._edges) else 0.0

    def pick(self, chances: Floats) -> Ints:
        """Return one index for each chance in [0, 1). An item without weight is never picked."""
        found = np.searchsorted(self._edges, chances * self.total, side="right")
        return np.minimum(found, int(np.searchsorted(self._edges, self.total)))


class GroupedOdds:
    """A weighted choice within each of many groups."""

    def __init__(self, groups: Ints, weights: Floats, count: int) -> None:
        self._order = np.argsort(groups, kind="stable")
        self._edges = np.cumsum(weights[self._order])
        ends = np.searchsorted(groups[self._order], np.arange(count), side="right")
        upper = np.concatenate(([0.0], self._edges))[ends]
        self._base = np.concatenate(([0.0], upper[:-1]))
        self._size = upper - self._base

    def pick(self, groups: Ints, chances: Floats) -> Ints:
        """Return one index of its group for each chance; -1 if the group has no weight."""
        if not len(self._order):
            return np.full(len(groups), -1)
        aim = self._base[groups] + chances * self._size[groups]
        found = self._order[np.minimum(np.searchsorted(self._edges, aim, side="right"), len(self._order) - 1)]
        return np.where(self._size[groups] > 1e-12, found, -1)


def first_come(groups: Ints, amounts: Ints, room: Ints) -> Bools:
    """Return which requests are served, in order. The amounts served to a group never exceed its room.

    After the first refused request of a group, its later requests are refused as well, even if they would fit.
    """
    wanted = np.bincount(groups, weights=amounts, minlength=len(room))
    served = np.ones(len(groups), np.bool_)
    tight = np.flatnonzero((wanted > room)[groups])
    if len(tight):
        tight = tight[np.argsort(groups[tight], kind="stable")]
        group, amount = groups[tight], amounts[tight]
        total = np.cumsum(amount)
        first = np.flatnonzero(np.diff(group, prepend=-1))
        before = np.repeat((total - amount)[first], np.diff(np.append(first, len(group))))
        served[tight] = total - before <= room[group]
    return served


def free_units(room: Ints, count: int) -> Ints:
    """Return one group per free unit, roomiest group first, at most `count` units."""
    order = np.argsort(-room, kind="stable")
    filled = np.cumsum(np.maximum(room[order], 0))
    units = np.arange(min(count, int(filled[-1]) if len(filled) else 0))
    return order[np.searchsorted(filled, units, side="right")]
