"""Greedy k-center against the plain loop in float64, where it is easy to be wrong: ties, copies, scales, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from selkit_diversity.farthest import farthest_first, nearest_to_mean


def loop(points: np.ndarray, count: int, start: int) -> tuple[list[int], float]:
    """The textbook: after each pick the distance of every point to it, in float64; ties to the smaller index."""
    points = points.astype(np.float64)
    nearest = np.full(len(points), np.inf)
    picks = [start]
    while True:
        nearest = np.minimum(nearest, ((points - points[picks[-1]]) ** 2).sum(axis=1))
        if len(picks) == count:
            return picks, float(np.sqrt(nearest.max()))
        left = nearest.copy()
        left[picks] = -1
        picks.append(int(left.argmax()))


def clustered(size: int, width: int, seed: int) -> np.ndarray:
    """Points around a few centres, at several distances from them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, width))
    noise = rng.normal(size=(size, width)) * rng.gamma(2, 0.3, size=(size, 1))
    return (centres[rng.integers(20, size=size)] + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "width", "count"), [(1, 3, 1), (2, 1, 2), (40, 5, 40), (700, 8, 90), (3000, 24, 400), (3000, 2, 700)]
)
def test_picks_are_those_of_the_plain_loop(size: int, width: int, count: int) -> None:
    """Also with more points than compete at once, and in two dimensions, where many points are left alone."""
    points = clustered(size, width, seed=size)
    picks, radius = farthest_first(points, count, size // 2)
    wanted, covering = loop(points, count, size // 2)
    assert picks.tolist() == wanted
    assert radius == pytest.approx(covering, rel=1e-12, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    points=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 3)),
        elements=st.integers(-2, 2).map(float),
    ),
    data=st.data(),
)
def test_ties_and_copies(points: np.ndarray, data: st.DataObject) -> None:
    """On a grid, where distances are exact and mostly equal: ties go to the smaller index, copies come last."""
    count = data.draw(st.integers(1, len(points)))
    start = data.draw(st.integers(0, len(points) - 1))
    picks, radius = farthest_first(points, count, start)
    wanted, covering = loop(points, count, start)
    assert picks.tolist() == wanted
    assert radius == pytest.approx(covering)


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1.0, 1e18, 1e37])
def test_the_scale_does_not_matter(scale: float) -> None:
    """Squares of these numbers overflow float32, or vanish."""
    points = (clustered(800, 6, seed=1) * scale).astype(np.float32)
    picks, radius = farthest_first(points, 200, 3)
    wanted, covering = loop(points, 200, 3)
    assert picks.tolist() == wanted
    assert radius == pytest.approx(covering)


def test_points_far_from_the_origin() -> None:
    """Where |x|^2 + |c|^2 - 2xc loses every digit in float32, as with the hidden states of language models."""
    points = (clustered(900, 6, seed=2) * 1e-2 + 1000).astype(np.float32)
    assert farthest_first(points, 300, 0)[0].tolist() == loop(points, 300, 0)[0]


def test_one_far_point_does_not_blur_the_others() -> None:
    """An outlier makes every product large; the rest is still told apart."""
    points = clustered(900, 6, seed=3)
    points[17] = 1e4
    assert farthest_first(points, 300, 0)[0].tolist() == loop(points, 300, 0)[0]


def test_all_equally_far() -> None:
    """Every point competes with every other: by index, and more of them than compete at once."""
    points = np.eye(2500, dtype=np.float32)
    picks, radius = farthest_first(points, 6, 3)
    assert picks.tolist() == [3, 0, 1, 2, 4, 5]
    assert radius == pytest.approx(np.sqrt(2))


def test_nearly_equal_distances_are_told_apart() -> None:
    """Distances that differ by less than float32 can see in a product: float64 decides."""
    rng = np.random.default_rng(5)
    points = rng.normal(size=(400, 64))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = np.concatenate([np.zeros((1, 64)), points]).astype(np.float32)
    assert farthest_first(points, 60, 0)[0].tolist() == loop(points, 60, 0)[0]


def test_a_copy_of_the_start_comes_last() -> None:
    """The start itself is picked although an equal point stands before it."""
    points = np.array([[0], [5], [0], [1]], np.float32)
    assert farthest_first(points, 4, 2)[0].tolist() == [2, 1, 3, 0]
    assert farthest_first(points, 1, 2) == (np.array([2]), 5.0)
    assert farthest_first(np.zeros((3, 2), np.float32), 3, 1)[0].tolist() == [1, 0, 2]


def test_the_medoid_has_the_smallest_sum_of_squared_distances() -> None:
    """Against all pairs; of equals it is the first."""
    points = clustered(300, 7, seed=4)
    sums = ((points[:, None].astype(np.float64) - points[None]) ** 2).sum(axis=(1, 2))
    assert nearest_to_mean(points) == int(sums.argmin())
    assert nearest_to_mean(np.array([[3], [-1], [1], [-3]], np.float32)) == 1
