"""DEITA's Repr Filter: walk down the ranking and drop what is too similar to something kept.

The rule of hkust-nlp/deita (selection/filter/base.py): the best row is kept; every next one is dropped where its
largest cosine similarity to a kept row is above the threshold; the walk ends when enough rows are kept. Here it goes
block by block, which changes no decision: a block is compared with all rows kept before it in one matrix product, and
then with itself row after row.

The products are in float32, whose rounding depends on the block. A pair that this could decide wrongly is computed
again in float64 from the vectors as they are, so that a decision depends on the two rows alone. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
"""Rows that are compared at once."""

CHUNK = 4096
"""Kept rows that a block is compared with at once, and pairs that are computed again at once."""

_ROUNDING = 2.0**-24


@dataclass(frozen=True)
class Filtered:
    """What a walk down the ranking kept.

    Args:
        kept: Indices of the kept rows, best first, shape (k,).
        examined: How many rows were looked at, kept ones included.
        threshold: The similarity above which a row was dropped.
    """

    kept: NDArray[np.int64]
    examined: int
    threshold: float

    @property
    def dropped(self) -> int:
        """How many rows were too similar to a kept one."""
        return self.examined - len(self.kept)


def repr_filter(vectors: NDArray[np.float32], order: NDArray[np.int64], rows: int, threshold: float = 0.9) -> Filtered:
    """Keeps rows from the best down, dropping each that is too similar to a kept one, until ``rows`` are kept.

    Beside the vectors, which may be memory-mapped, it needs room for the kept ones and a few blocks.

    Args:
        vectors: One vector per row, shape (n, width), finite and none of them zero; their length does not matter.
        order: Indices into ``vectors``, best row first; rows that are not in it take no part.
        rows: How many to keep at most.
        threshold: Largest cosine similarity to a kept row that does not drop a row.
    """
    walk = _Walk(vectors, threshold)
    examined = 0
    while examined < len(order) and len(walk.kept) < rows:
        examined += walk.step(order[examined : examined + BLOCK], rows)
    return Filtered(np.array(walk.kept, np.int64), examined, threshold)


class _Walk:
    """The rows kept so far, with their vectors at length 1."""

    def __init__(self, vectors: NDArray[np.float32], threshold: float) -> None:
        self.vectors = vectors
        self.threshold = threshold
        self.units = np.empty((0, vectors.shape[1]), np.float32)
        self.kept: list[int] = []
        self.margin = (vectors.shape[1] + 8) * _ROUNDING  # bound on the error of a product of two unit vectors

    def step(self, block: NDArray[np.int64], rows: int) -> int:
        """Looks at the next rows until ``rows`` are kept; returns how many it looked at."""
        self._make_room(len(block))
        units = unit_vectors(self.vectors[block])
        free = self._unlike_kept(block, units)
        places = np.flatnonzero(free)
        alike = self._alike(block[places], units[places], block[places], units[places])
        out = np.zeros(len(places), np.bool_)
        for i, place in enumerate(places):
            if out[i]:
                continue
            self.units[len(self.kept)] = units[place]
            self.kept.append(int(block[place]))
            if len(self.kept) == rows:
                return int(place) + 1
            out |= alike[i]
        return len(block)

    def _make_room(self, more: int) -> None:
        """Sees to it that the vectors of so many further rows fit."""
        needed = len(self.kept) + more
        if needed > len(self.units):
            grown = np.empty((max(needed, 2 * len(self.units)), self.units.shape[1]), np.float32)
            grown[: len(self.kept)] = self.units[: len(self.kept)]
            self.units = grown

    def _unlike_kept(self, block: NDArray[np.int64], units: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which rows of the block are not too similar to any row kept before it."""
        free = np.ones(len(block), np.bool_)
        kept = np.array(self.kept, np.int64)
        for start in range(0, len(kept), CHUNK):
            left = np.flatnonzero(free)
            part = slice(start, min(start + CHUNK, len(kept)))
            alike = self._alike(block[left], units[left], kept[part], self.units[part])
            free[left[alike.any(axis=1)]] = False
        return free

    def _alike(
        self,
        a: NDArray[np.int64],
        a_units: NDArray[np.float32],
        b: NDArray[np.int64],
        b_units: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        """Whether the similarity of each pair is above the threshold, shape (len(a), len(b))."""
        similarity = a_units @ b_units.T
        alike: NDArray[np.bool_] = similarity > self.threshold
        unsure = np.abs(similarity - np.float32(self.threshold)) <= self.margin
        first, second = np.nonzero(unsure)
        for start in range(0, len(first), CHUNK):
            i, j = first[start : start + CHUNK], second[start : start + CHUNK]
            alike[i, j] = cosine(self.vectors[a[i]], self.vectors[b[j]]) > self.threshold
        return alike


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors at length 1, shape (n, width); lengths are computed in float64, where squares cannot overflow."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return np.asarray(vectors / lengths[:, None], np.float32)


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine similarity of a[i] and b[i] in float64, at most 1, shape (n,)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    dots = np.einsum("ij,ij->i", x, y)
    found: NDArray[np.float64] = dots / np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
    return np.minimum(found, 1.0)
