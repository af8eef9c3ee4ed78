"""How a budget is shared among clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_diversity.shares import equal_shares

SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=12)


def rng(seed: int = 0) -> np.random.Generator:
    """A new generator."""
    return np.random.default_rng(seed)


@given(SIZES, st.integers(0, 400), st.integers(0, 3), st.sampled_from(["random", "largest"]))
def test_exact_and_as_equal_as_can_be(sizes: list[int], rows: int, seed: int, remainder: str) -> None:
    """The budget is met or everything is given; a cluster gives less than another, by more than 1, only if empty."""
    shares = equal_shares(sizes, rows, rng(seed), remainder=remainder).tolist()  # type: ignore[arg-type]
    assert sum(shares) == min(rows, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    most = max(shares)
    assert all(share >= most - 1 or share == size for share, size in zip(shares, sizes, strict=True))


@given(SIZES, st.integers(0, 400), st.integers(0, 3), st.sampled_from(["random", "largest"]))
def test_short_leaves_out_what_small_clusters_lack(sizes: list[int], rows: int, seed: int, remainder: str) -> None:
    """Each owes its equal part, some one more, and gives what it has of that."""
    shares = equal_shares(sizes, rows, rng(seed), remainder=remainder, redistribute=False)  # type: ignore[arg-type]
    equal, more = divmod(rows, len(sizes))
    given = [share - min(equal, size) for share, size in zip(shares.tolist(), sizes, strict=True)]
    assert set(given) <= {0, 1}
    roomy = sum(size > equal for size in sizes)
    assert max(0, more - (len(sizes) - roomy)) <= sum(given) <= min(more, roomy)


def test_by_hand() -> None:
    """20 rows of clusters of 2, 5, 9 and 9: five each, and the three that the first lacks one each from the others."""
    assert equal_shares([2, 5, 9, 9], 20, rng()).tolist() in ([2, 5, 6, 7], [2, 5, 7, 6])
    assert equal_shares([2, 5, 9, 10], 20, rng(), remainder="largest").tolist() == [2, 5, 6, 7]
    assert equal_shares([2, 5, 9, 9], 20, rng(), redistribute=False).tolist() == [2, 5, 5, 5]
    assert equal_shares([3, 3, 3], 2, rng(), remainder="largest").tolist() == [1, 1, 0]


@pytest.mark.parametrize("redistribute", [True, False])
def test_the_remainder_is_drawn_evenly(redistribute: bool) -> None:
    """Over many seeds each of four clusters gets one of two extra rows half of the time."""
    extra = sum(equal_shares([9] * 4, 6, rng(seed), redistribute=redistribute) - 1 for seed in range(400))
    assert np.all(np.abs(np.asarray(extra) - 200) < 50)  # five standard deviations
