"""Greedy k-center: each pick is the point farthest from all picks before it (Gonzalez 1985; Sener and Savarese 2018).

The usual loop computes the distances of all points to every pick, which reads all points once a pick. Here

- distances come from matrix products over many points and many picks at a time;
- the distance to the nearest pick can only shrink, so an old one is an upper bound, and a point whose bound is below
  what the next picks have is left alone;
- the products are in float32 and come with a bound on their rounding: where that leaves several points that may be the
  farthest, theirs are computed in float64 from differences of coordinates.

So the picks are those of the loop in float64, on any number of threads; ties go to the smaller index.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

_FRONT = 512
"""Points that compete for the next picks, and points whose distances are brought up to date at once."""

_BLOCK = 4096
_PAIRS = 1024
_UNIT = float(np.finfo(np.float32).eps) / 2


def farthest_first(points: Floats, count: int, start: int) -> tuple[Indices, float]:
    """``count`` points of greedy k-center, in the order of the picks, the first one ``start``.

    Where all different points are picked already, the rest are copies of picks and follow in their own order.

    Args:
        points: Shape (n, width), finite.
        count: How many to pick, from 1 to n.
        start: Index of the first pick.

    Returns:
        Indices of the picks, shape (count,); and the largest distance of a point to the nearest pick.
    """
    from threadpoolctl import threadpool_limits

    different = _different(points, start)
    # The products are many and small: threads gain little, and on a busy machine lose much by waiting for each other.
    with threadpool_limits(1, "blas"):
        search = _Search(points if len(different) == len(points) else points[different], min(count, len(different)))
        picks, radius = search.run(int(np.flatnonzero(different == start)[0]))
    chosen = different[picks]
    if count > len(different):
        copies = np.setdiff1d(np.arange(len(points)), different)
        chosen = np.concatenate([chosen, copies[: count - len(different)]])
    return chosen, radius


def nearest_to_mean(points: Floats) -> int:
    """Index of the point nearest to the mean: the medoid, by squared distances; of equals the first."""
    mean = points.mean(axis=0, dtype=np.float64)
    squares = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        difference = points[start : start + _BLOCK] - mean
        squares[start : start + _BLOCK] = np.einsum("ij,ij->i", difference, difference)
    return int(np.flatnonzero(squares <= squares.min() * (1 + 1e-12))[0])


def _different(points: Floats, start: int) -> Indices:
    """The first of each set of equal points, ascending; ``start`` stands for its own set."""
    _, place, counts = np.unique(points.max(axis=1), return_inverse=True, return_counts=True)
    alike = np.flatnonzero(counts[place] > 1)  # only these can have an equal
    first: dict[bytes, int] = {points[start].tobytes(): start}
    for index in alike.tolist():
        first.setdefault(points[index].tobytes(), index)
    different = np.ones(len(points), np.bool_)
    different[alike] = False
    different[list(first.values())] = True
    return np.flatnonzero(different)


class _Search:
    """The state of one search over points that all differ.

    Distances in here are squared, and of points moved to mean 0 (which takes out most of what products cancel) and
    scaled by a power of 2 to coordinates of at most 1 (so that squares neither overflow nor vanish).

    Attributes:
        nearest: Squared distance of each point to the nearest of its first ``seen`` picks; -inf for picks.
        exact: The same in float64, for the first ``exact_seen`` picks.
        picks: Indices of the picks.
    """

    def __init__(self, points: Floats, count: int) -> None:
        size, width = points.shape
        self.points, self.count = points, count
        self.scaled, self.scale = _centred(points)
        self.squares = np.einsum("ij,ij->i", self.scaled, self.scaled)
        self.everyone = np.arange(size)
        self.nearest = np.full(size, np.inf, np.float32)
        self.seen = np.zeros(size, np.int64)
        self.exact = np.full(size, np.inf)
        self.exact_seen = np.zeros(size, np.int64)
        self.picks: list[int] = []
        self.centres = np.empty((count, width), np.float32)
        # Rounding grows with the square root of the number of terms (Higham and Mary 2019), 4 for a chance of 1 in
        # thousands; some further operations follow the sum.
        self.rounding = (4 * np.sqrt(width) + 16) * _UNIT

    def run(self, start: int) -> tuple[Indices, float]:
        """The picks, and the largest distance of a point to the nearest of them."""
        self._pick(start)
        radius = 0.0 if len(self.nearest) == 1 else None
        while radius is None:
            radius = self._epoch()
        return np.asarray(self.picks, np.int64), radius

    def _epoch(self) -> float | None:
        """Picks among the points in front for as long as no other point can be farther.

        Returns the largest distance to the nearest pick once there are enough picks, None before.
        """
        front = self._front()
        bound = float(np.max(self._upper(np.delete(self.everyone, front)), initial=-np.inf))
        scaled, squares = self.scaled[front], self.squares[front]
        nearest, slack = self.nearest[front], self._slack(front)
        products = scaled @ scaled.T if len(front) <= 4 * _FRONT else None
        picked = 0
        while len(self.picks) < len(self.nearest):
            best, distance = self._farthest(front, nearest, slack)
            if picked and distance <= bound:
                self.nearest[front], self.seen[front] = nearest, len(self.picks)
                return None
            if len(self.picks) == self.count:
                return float(np.sqrt(self._exactly(front[[best]])[0]) / self.scale)
            self._pick(int(front[best]))
            picked += 1
            row = scaled @ scaled[best] if products is None else products[best]
            np.minimum(nearest, np.maximum(squares + squares[best] - 2 * row, 0), out=nearest)
            nearest[best] = -np.inf
        return 0.0

    def _front(self) -> Indices:
        """The points that may be among the ``_FRONT`` farthest, up to date, ascending; every other one is nearer."""
        upper = self._upper(self.everyone)
        order = np.argsort(-upper, kind="stable")
        left = int(np.count_nonzero(upper > -np.inf))
        done, cut = 0, -np.inf
        while done < left and upper[order[done]] >= cut:
            self._refresh(np.sort(order[done : done + _FRONT]))
            done += _FRONT
            lower = self.nearest[order[:done]] - self._slack(order[:done])
            cut = float(np.partition(lower, -_FRONT)[-_FRONT]) if len(lower) >= _FRONT else -np.inf
        found = np.sort(order[: min(done, left)])
        return found[self._upper(found) >= cut]

    def _refresh(self, rows: Indices) -> None:
        """Brings the distances of these points up to date with all picks."""
        first = int(self.seen[rows].min())
        if first < len(self.picks):
            found = np.maximum(self._squared(rows, first).min(axis=1), 0)
            self.nearest[rows] = np.minimum(self.nearest[rows], found)
            self.seen[rows] = len(self.picks)

    def _squared(self, rows: Indices, first: int) -> Floats:
        """Squared distances of these points to the picks from the ``first`` on, in float32."""
        squared: Floats = self.scaled[rows] @ self.centres[first : len(self.picks)].T
        squared *= -2
        squared += self.squares[self.picks[first:]]
        squared += self.squares[rows][:, None]
        return squared

    def _farthest(self, front: Indices, nearest: Floats, slack: Floats) -> tuple[int, float]:
        """Place in ``front`` of the farthest point, and a distance that it has at least."""
        lower = nearest - slack
        able = np.flatnonzero(nearest + slack >= lower.max())
        if len(able) == 1:
            return int(able[0]), float(lower[able[0]])
        exact = self._exactly(front[able])
        best = int(exact.argmax())
        return int(able[best]), float(exact[best])

    def _exactly(self, rows: Indices) -> NDArray[np.float64]:
        """Squared distances of these points to the nearest pick, in float64."""
        for start in range(0, len(rows), _PAIRS):
            self._refine(rows[start : start + _PAIRS])
        return self.exact[rows]

    def _refine(self, rows: Indices) -> None:
        """Brings the exact distances of these points up to date: to each pick that may be the nearest."""
        first = int(self.exact_seen[rows].min())
        if first == len(self.picks):
            return
        rough = self._squared(rows, first)
        least = np.maximum(rough.min(axis=1), 0)
        within = least + 2 * self.rounding * (3 * self.squares[rows] + 2 * least)
        places, picks = np.nonzero(rough <= within[:, None])
        for start in range(0, len(places), _PAIRS):
            here = rows[places[start : start + _PAIRS]]
            there = np.asarray(self.picks, np.int64)[first + picks[start : start + _PAIRS]]
            difference = (self.points[here].astype(np.float64) - self.points[there]) * self.scale
            np.minimum.at(self.exact, here, np.einsum("ij,ij->i", difference, difference))
        self.exact_seen[rows] = len(self.picks)

    def _pick(self, row: int) -> None:
        self.centres[len(self.picks)] = self.scaled[row]
        self.picks.append(row)
        self.nearest[row] = -np.inf

    def _slack(self, rows: Indices) -> Floats:
        """How far the squared distances of these points may be off.

        The rounding of |x|^2 + |c|^2 - 2xc is relative to |x|^2 + |c|^2, and the nearest pick c at squared distance d
        has |c|^2 <= 2|x|^2 + 2d.
        """
        slack: Floats = self.rounding * (3 * self.squares[rows] + 2 * np.maximum(self.nearest[rows], 0))
        return slack

    def _upper(self, rows: Indices) -> Floats:
        """The largest squared distance that each of these points may have."""
        upper: Floats = self.nearest[rows] + self._slack(rows)
        return upper


def _centred(points: Floats) -> tuple[Floats, float]:
    """The points moved to about mean 0 and scaled by a power of 2 to coordinates of at most 2; and that power."""
    largest = max(float(points.max()), -float(points.min()))
    scale = float(2.0 ** -np.frexp(largest)[1])
    moved = np.multiply(points, np.float32(scale), dtype=np.float32)
    moved -= moved.mean(axis=0)
    return moved, scale
