"""Ranking against a plain sort."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from selkit.select import overlap_matrix, rank, ties_at_cut

SCORES = st.dictionaries(st.text(max_size=4), st.integers(-3, 3).map(float), max_size=30)


@given(SCORES, st.booleans())
def test_rank_is_a_sort_by_score_then_id(scores: dict[str, float], higher: bool) -> None:
    """Best first, equal scores by the smaller id, whatever the order of the rows."""
    sign = -1 if higher else 1
    # Arrow compares text by its UTF-8 bytes, which is the order of code points and so Python's.
    expected = sorted(scores, key=lambda i: (sign * scores[i], i.encode("utf-8", "surrogatepass")))
    ids = pa.array(list(scores), pa.string())
    order = rank(ids, np.array(list(scores.values()), dtype=float), higher_is_better=higher)
    assert ids.take(order).to_pylist() == expected


def test_random_ties_shuffle_only_equal_scores() -> None:
    """A tie seed moves rows among equals, never across scores, and depends on nothing but the seed and the ids."""
    ids = [f"{i:02d}" for i in range(40)]
    scores = np.array([i // 20 for i in range(40)], dtype=float)
    one = [ids[i] for i in rank(pa.array(ids), scores, tie_seed=1)]
    assert sorted(one[:20]) == ids[20:]
    assert one[:20] != ids[20:]
    backwards = rank(pa.array(ids[::-1]), scores[::-1], tie_seed=1)
    assert [ids[::-1][i] for i in backwards] == one


def test_ties_at_cut_counts_rows_that_share_the_last_score() -> None:
    """Only a cut through equal scores is counted."""
    assert ties_at_cut([3, 2, 2, 1], 2) == 2
    assert ties_at_cut([3, 2, 2, 1], 3) == 0
    assert ties_at_cut([3, 2], 2) == 0
    assert ties_at_cut([3, 3], 0) == 0


def test_overlap_is_the_share_of_the_rows_selection() -> None:
    """The matrix is not symmetric where sizes differ, and an empty selection shares nothing."""
    matrix = overlap_matrix({"a": ["1", "2"], "b": ["2", "3", "4", "5"], "c": []})
    assert matrix.tolist() == [[1.0, 0.5, 0.0], [0.25, 1.0, 0.0], [0.0, 0.0, 0.0]]
