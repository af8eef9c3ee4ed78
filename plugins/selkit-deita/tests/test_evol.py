"""The evol score and the ranking."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selkit_deita.evol import evol_score, evol_scores, ranked

from selkit.api import RowScore


def turns(*ratings: float) -> RowScore:
    """A row score that is made of turns."""
    return RowScore(sum(ratings), details={"turns": len(ratings)} | {f"turn-{n}": r for n, r in enumerate(ratings, 1)})


def test_products_are_added_over_the_turns() -> None:
    """2 x 5 + 3 x 4 is 22, not the product of the sums."""
    assert evol_score(turns(2, 3), turns(5, 4)) == RowScore(22.0)
    assert evol_score(turns(2.5), turns(4)) == RowScore(10.0)


def test_scores_that_are_not_made_of_turns_are_multiplied() -> None:
    """Another package's scorer has one number for a row; it multiplies the sum."""
    assert evol_score(RowScore(0.5), turns(5, 4)) == RowScore(4.5)
    assert evol_score(turns(2, 3), RowScore(0.5)) == RowScore(2.5)


def test_a_row_without_one_of_the_scores_has_none() -> None:
    """The reason says which one; nothing takes the place of the other."""
    out, failed = RowScore.excluded("too long"), RowScore.failed("broke")
    assert evol_score(out, turns(5)) == RowScore.excluded("complexity: too long")
    assert evol_score(turns(5), failed) == RowScore.failed("quality: broke")
    assert evol_score(turns(1, 2), turns(1)).status == "failed"
    assert evol_score(RowScore(math.inf), RowScore(0.0)).reason == "complexity times quality is not a number"


def test_scores_are_joined_by_id() -> None:
    """Two scorers that disagree about the rows are a mistake, never a join by position."""
    one, two = [("a", turns(1)), ("b", turns(2))], [("a", turns(3)), ("b", turns(4))]
    assert dict(evol_scores(one, two)) == {"a": RowScore(3.0), "b": RowScore(8.0)}
    with pytest.raises(ValueError, match="'b' stand beside those of 'a'"):
        list(evol_scores(one[1:], two[:1]))


@given(st.dictionaries(st.text(max_size=3), st.sampled_from([None, -1.0, 0.0, 0.5, 2.0])), st.booleans(), st.randoms())
def test_the_ranking_goes_by_score_then_by_id(
    scores: dict[str, float | None], best_high: bool, shuffle: object
) -> None:
    """Whatever the order of the rows; those without a score are counted by reason."""
    rows = [(i, RowScore.excluded("none") if s is None else RowScore(s)) for i, s in scores.items()]
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    found = ranked(rows, higher_is_better=best_high)
    known = {i: s for i, s in scores.items() if s is not None}
    assert sorted(found.ids) == sorted(known)
    for first, second in zip(found.ids, found.ids[1:], strict=False):
        a, b = known[first], known[second]
        assert (a > b if best_high else a < b) or (a == b and first < second)
    missing = len(scores) - len(known)
    assert found.excluded == ({"none": missing} if missing else {})
