"""Accuracy, its interval and Kendall's tau against counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_car.agreement import kendall, pairwise_accuracy, wilson


def test_differences_under_a_hundredth_are_ties() -> None:
    """A tie is no win; exactly 0.01 is one; a lead of any size counts as higher."""
    found = pairwise_accuracy([0.5, 0.5, 0.51, 0.2, 0.5], [0.3, 0.495, 0.5, 0.4, 0.5])
    assert (found.pairs, found.right, found.ties, found.higher) == (5, 2, 2, 3)
    assert found.accuracy == 0.4
    assert str(found).startswith("40.00% of 5 pairs (95% interval 11.76% to 76.93%; 2 ties count as wrong, 60.00%")


@given(st.integers(1, 400), st.data())
def test_wilson_solves_its_equation(trials: int, data: st.DataObject) -> None:
    """At both ends the observed share lies 1.96 standard errors away."""
    right = data.draw(st.integers(0, trials))
    for end in wilson(right, trials):
        if 0 < end < 1:
            assert abs(right / trials - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / trials), abs=1e-6)


def test_the_papers_accuracy_and_its_interval() -> None:
    """214 of 254 pairs is 84.25%, from 79.3% to 88.2%."""
    assert round(214 / 254, 4) == 0.8425
    assert wilson(214, 254) == pytest.approx((0.7927, 0.8822), abs=5e-4)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=30))
def test_kendall_counts_pairs(rows: list[tuple[int, int]]) -> None:
    """tau-b: concordant minus discordant, over the geometric mean of the pairs that are no ties; -1 without any."""
    scores, labels = zip(*rows, strict=True)
    concordant = both = in_scores = in_labels = 0
    for i in range(len(rows)):
        for j in range(i):
            a, b = np.sign(scores[i] - scores[j]), np.sign(labels[i] - labels[j])
            concordant += a * b
            in_scores += a != 0
            in_labels += b != 0
            both += 1
    wanted = concordant / math.sqrt(in_scores * in_labels) if in_scores and in_labels else -1.0
    assert kendall(scores, labels) == pytest.approx(wanted, abs=1e-12)
