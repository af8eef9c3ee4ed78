"""What happens where the filter ends with too few rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selkit_deita.choice import Choice, Underflow, choose, thresholds
from selkit_deita.filter import repr_filter

ANGLES = np.radians([0, 10, 20, 30, 40, 90])
VECTORS = np.array([np.cos(ANGLES), np.sin(ANGLES)], np.float32).T
"""Six directions; cos 10, 20, 30 and 40 degrees is 0.985, 0.940, 0.866 and 0.766."""


def chosen(rows: int, underflow: Underflow, threshold: float = 0.9, step: float = 0.01) -> Choice:
    """The choice among the six."""
    return choose(VECTORS, np.arange(6), rows, threshold=threshold, step=step, underflow=underflow)


def test_a_budget_that_the_filter_fills_is_left_alone() -> None:
    """At 0.9 rows 0, 3 and 5 are kept, whatever the policy."""
    for policy in ("relax", "top-up", "short", "fail"):
        found = chosen(3, policy)  # type: ignore[arg-type]
        assert found.rows.tolist() == [0, 3, 5]
        assert [each.threshold for each in found.passes] == [0.9]
        assert found.topped_up == 0


def test_relax_takes_the_first_threshold_that_is_enough() -> None:
    """At 0.94 row 2 (20 degrees, 0.9397) may stay beside row 0, and then row 4 beside row 2; 0.91 to 0.93 do not do."""
    found = chosen(4, "relax")
    assert found.rows.tolist() == [0, 2, 4, 5]
    assert [each.threshold for each in found.passes] == [0.9, 0.91, 0.92, 0.93, 0.94]
    assert [len(each.kept) for each in found.passes] == [3, 3, 3, 3, 4]
    assert chosen(6, "relax", step=0.04).last.threshold == 1.0
    assert chosen(6, "relax", step=0.04).rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_top_up_adds_the_best_of_the_dropped_rows() -> None:
    """Rows 0, 3 and 5 stay, rows 1 and 2 come back, in the order of the ranking."""
    found = chosen(5, "top-up")
    assert found.rows.tolist() == [0, 1, 2, 3, 5]
    assert found.topped_up == 2
    assert len(found.passes) == 1


@pytest.mark.parametrize("policy", ["short", "fail"])
def test_the_other_two_leave_it_at_that(policy: Underflow) -> None:
    """What was kept; the selector says so or stops."""
    assert chosen(5, policy).rows.tolist() == [0, 3, 5]


def test_thresholds_are_round_and_end_at_one() -> None:
    """No 0.9199999999999999, and 1 exactly once."""
    assert list(thresholds(0.9, 0.02)) == [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]
    assert list(thresholds(0.9, 0.03)) == [0.9, 0.93, 0.96, 0.99, 1.0]
    assert list(thresholds(1.0, 0.5)) == [1.0]
    assert len(list(thresholds(0.85, 0.001))) == 151


@settings(deadline=None)
@given(
    st.integers(1, 25),
    st.integers(0, 30),
    st.sampled_from(["relax", "top-up", "short", "fail"]),
    st.integers(0, 10**6),
    st.sampled_from([0.3, 0.9, 1.0]),
)
def test_budgets_are_exact_or_the_rows_run_out(
    count: int, rows: int, policy: Underflow, seed: int, threshold: float
) -> None:
    """Relax and top-up choose exactly the budget, or every row; what the filter keeps stays; no row comes twice."""
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((count, 2)).astype(np.float32)
    order = draw.permutation(count)
    found = choose(vectors, order, rows, threshold=threshold, step=0.1, underflow=policy)
    wanted = min(rows, count)
    kept = repr_filter(vectors, order, wanted, threshold).kept.tolist()
    assert len(set(found.rows.tolist())) == len(found.rows) <= wanted
    places = [order.tolist().index(row) for row in found.rows]
    assert places == sorted(places)
    if policy in ("relax", "top-up"):
        assert len(found.rows) == wanted
    else:
        assert found.rows.tolist() == kept
    if policy == "top-up":
        assert set(kept) <= set(found.rows.tolist())
        assert found.topped_up == wanted - len(kept)
