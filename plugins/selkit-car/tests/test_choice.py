"""The choice against the paper's own words, done the long way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_car.choice import choose


def union(clusters: list[int], n1: int, n2: int) -> list[int]:
    """The paper's n1 + k x n2: the top n1 ranks and the best n2 of every cluster, each rank once."""
    chosen = list(range(min(n1, len(clusters))))
    for cluster in sorted(set(clusters)):
        members = [rank for rank, label in enumerate(clusters) if label == cluster]
        chosen += [rank for rank in members[:n2] if rank not in chosen]
    return sorted(chosen)


labels = st.lists(st.integers(0, 6), min_size=1, max_size=40)


@given(labels, st.integers(1, 3), st.data())
def test_the_budget_is_exact_and_the_set_is_one_of_the_papers(
    clusters: list[int], n2: int, data: st.DataObject
) -> None:
    """Some n1 gives the paper's union of exactly that size; every n1 that does gives the same set."""
    winners = len(union(clusters, 0, n2))
    budget = data.draw(st.integers(winners, len(clusters)))
    found = choose(clusters, budget, n2=n2).ranks.tolist()
    of_size = [union(clusters, n1, n2) for n1 in range(len(clusters) + 1) if len(union(clusters, n1, n2)) == budget]
    assert of_size
    assert all(one == found for one in of_size)


@given(labels, st.integers(1, 3), st.data())
def test_too_many_winners_are_cut_to_the_best(clusters: list[int], n2: int, data: st.DataObject) -> None:
    """A budget below the number of cluster winners takes the best of them, and counts the others."""
    winners = union(clusters, 0, n2)
    budget = data.draw(st.integers(1, len(winners)))
    found = choose(clusters, budget, n2=n2)
    assert found.ranks.tolist() == winners[:budget]
    assert found.left_out == len(winners) - budget


@given(labels, st.integers(1, 3), st.data())
def test_a_given_n1_is_the_papers_union_as_far_as_the_budget_reaches(
    clusters: list[int], n2: int, data: st.DataObject
) -> None:
    """The top n1, then the other winners, best first; never more than the budget, fewer where there are no more."""
    budget = data.draw(st.integers(1, len(clusters)))
    n1 = data.draw(st.integers(0, budget))
    added = [rank for rank in union(clusters, n1, n2) if rank >= n1]
    found = choose(clusters, budget, n1=n1, n2=n2)
    assert found.ranks.tolist() == [*range(n1), *added[: budget - n1]]
    assert found.left_out == max(0, len(added) - (budget - n1))


@given(labels, st.integers(1, 3), st.data())
def test_counts_say_what_diversity_did(clusters: list[int], n2: int, data: st.DataObject) -> None:
    """Changed: rows that the plain ranking would not have. n1 and added: the two parts of the paper's sum."""
    budget = data.draw(st.integers(1, len(clusters)))
    found = choose(clusters, budget, n2=n2)
    chosen = set(found.ranks.tolist())
    assert found.changed == len(chosen - set(range(len(chosen))))
    assert found.n1 + found.added == len(chosen) == budget
    assert set(range(found.n1)) <= chosen
    assert found.n1 not in chosen
    assert all(a < b for a, b in pairwise(found.ranks.tolist()))


def test_an_example_by_hand() -> None:
    """Nine rows in four clusters: 0, 2, 5 and 7 win; a budget of 6 leaves two places for the best others."""
    clusters = [0, 0, 1, 1, 0, 2, 2, 3, 3]
    found = choose(clusters, 6)
    assert found.ranks.tolist() == [0, 1, 2, 3, 5, 7]
    assert (found.n1, found.added, found.changed, found.winners, found.left_out) == (4, 2, 1, 4, 0)


@pytest.mark.parametrize(("n1", "size"), [(1000, 1017), (0, 161)])
def test_the_papers_numbers(n1: int, size: int) -> None:
    """With 161 clusters of which 17 have no row among the top 1,000, n1 = 1000 and n2 = 1 give 1,017 of 52,002 rows."""
    clusters = [rank % 144 for rank in range(1000)] + [rank % 161 for rank in range(51_002)]
    assert len(choose(clusters, 2000, n1=n1).ranks) == size
    if n1:
        exact = choose(clusters, size)
        assert exact.ranks.tolist() == choose(clusters, 2000, n1=n1).ranks.tolist()
        assert (exact.n1 >= n1, exact.changed) == (True, len([r for r in exact.ranks if r >= size]))
