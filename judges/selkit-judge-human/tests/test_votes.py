"""Majorities and agreement, against counts by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_judge_human.votes import agreement, krippendorff_alpha, majority


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1"], "1"),
        (["1", "2"], "tie"),
        (["2", "2", "1"], "2"),
        (["1", "2", "tie"], "tie"),
        (["tie", "1"], "tie"),
        (["tie", "tie", "1"], "tie"),
        (["1", "1", "tie", "tie", "2"], "tie"),
    ],
)
def test_majority(labels: list[str], expected: str) -> None:
    """The most frequent label; a tie where labels share the lead."""
    assert majority(labels) == expected


@given(st.lists(st.sampled_from(["1", "2", "tie"]), min_size=1, max_size=7))
def test_majority_does_not_depend_on_order_and_mirrors(labels: list[str]) -> None:
    """Whoever labels first does not matter, and swapping the responses swaps the verdict."""
    mirror = {"1": "2", "2": "1", "tie": "tie"}
    assert majority(labels) == majority(labels[::-1])
    assert majority([mirror[label] for label in labels]) == mirror[majority(labels)]


def test_agreement() -> None:
    """Two of three pairs, and one of one, agree: three of four. One label alone says nothing."""
    assert agreement([["1", "1", "1"], ["2"]]) == 1.0
    assert agreement([["1", "1", "2"], ["tie", "tie"]]) == pytest.approx(2 / 4)
    assert agreement([["1"], []]) is None


def test_krippendorff_alpha() -> None:
    """The figure of the package krippendorff 0.9.0 (ordinal), full agreement, and nothing to say."""
    labelled = [["1", "1", "2"], ["tie", "tie"], ["2", "tie", "2"], ["1", "1"]]
    assert krippendorff_alpha(labelled) == pytest.approx(0.372448979591837)
    assert krippendorff_alpha([["1", "1"], ["2", "2"], ["tie"]]) == 1.0
    assert krippendorff_alpha([["1"], ["2"], []]) is None
    assert krippendorff_alpha([["1", "1"], ["1", "1"]]) is None


@given(st.lists(st.lists(st.sampled_from(["1", "2", "tie"]), min_size=2, max_size=4), min_size=2, max_size=9))
def test_alpha_mirrors_and_has_an_end(labelled: list[list[str]]) -> None:
    """Swapping left and right changes nothing; nobody agrees more than fully."""
    mirror = {"1": "2", "2": "1", "tie": "tie"}
    alpha = krippendorff_alpha(labelled)
    other = krippendorff_alpha([[mirror[label] for label in labels] for labels in labelled])
    assert alpha == (None if other is None else pytest.approx(other))
    assert alpha is None or alpha <= 1.0
