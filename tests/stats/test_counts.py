"""Published counts: intervals over items, against scipy and the papers' own numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selkit.api import DataError, UsageError
from selkit.stats.counts import CountRow, count_rows, counts_json, from_table, read_counts

pytest.importorskip("scipy")

PUBLISHED = Path(__file__).parents[2] / "docs/examples/published-counts"


def rows_of(**columns: list[Any]) -> list[CountRow]:
    """The rows of a table of counts."""
    return count_rows(from_table(pa.table(columns)))


@given(win=st.integers(0, 40), tie=st.integers(0, 40), lose=st.integers(0, 40))
@example(win=3, tie=0, lose=1)
@settings(max_examples=60, deadline=None)
def test_the_interval_is_scipys_t(win: int, tie: int, lose: int) -> None:
    """The outcomes written out as 1, 0.5 and 0 give scipy the same p and the same interval, as far as rates reach."""
    from scipy import stats

    if len([count for count in (win, tie, lose) if count]) < 2:
        return
    (row,) = rows_of(win=[win], tie=[tie], lose=[lose])
    outcomes = np.repeat([1, 0.5, 0], [win, tie, lose])
    test = stats.ttest_1samp(outcomes, 0.5)
    low, high = np.clip(test.confidence_interval(0.95), 0, 1)
    assert (row.ci_low, row.ci_high) == pytest.approx((100 * (low - 0.5), 100 * (high - 0.5)), abs=1e-9)
    assert row.p == pytest.approx(test.pvalue)
    assert row.stands == (row.ci_low > 0 or row.ci_high < 0)
    if win + lose:
        assert row.p_sign == pytest.approx(stats.binomtest(win, win + lose).pvalue)


def test_turning_a_comparison_round_negates_it() -> None:
    """Wins for losses: the same interval on the other side."""
    one, other = rows_of(win=[60, 40], tie=[20, 20], lose=[40, 60])
    assert (one.effect, one.ci_low, one.ci_high) == pytest.approx((-other.effect, -other.ci_high, -other.ci_low))
    assert one.p == pytest.approx(other.p)


def test_one_kind_of_outcome_has_no_interval() -> None:
    """All ties, or one comparison: nothing is claimed."""
    ties, single = rows_of(win=[0, 1], tie=[9, 0], lose=[0, 0])
    for row in (ties, single):
        assert row.ci_low is row.ci_high is row.p is row.p_holm is None
        assert not row.stands
        assert not row.stands_holm


def test_call_for_rigor() -> None:
    """Moon et al.: of the 30 comparisons of each model 9 and 12 do not stand on 180 items; 26 more wins are needed."""
    rows = count_rows(read_counts(PUBLISHED / "moon.csv"))
    models = ("Llama-2 (table 2)", "Mistral (table 3)")
    fails = [sum(not row.stands for row in rows if row.labels["model"] == model) for model in models]
    assert fails == [9, 12]
    assert {row.needed for row in rows} == {25, 26, 27}
    assert {row.n for row in rows} == {180}
    widest = max(row.ci_high - row.ci_low for row in rows)
    assert widest / 100 == pytest.approx(0.142, abs=0.003)  # of (W - L)/N the half-width, of the win rate the width
    # One comparison, 95-15-70, stands by the normal quantile with n in place of n - 1, and not by Student's t.
    (close,) = [row for row in rows if (row.win, row.lose) == (95, 70)]
    assert 0.05 < close.p < 0.053


def test_clustering_and_ranking() -> None:
    """Ge et al., table 4: 52 wins, 8 losses and 20 ties are a winning score of 1.55, and stand on their 80 items."""
    rows = {row.labels["comparison"]: row for row in count_rows(read_counts(PUBLISHED / "car.csv")) if row.n <= 80}
    assert rows["Total"].ws == pytest.approx(1.55)
    assert rows["Total"].stands_holm
    assert rows["Writing"].ws == pytest.approx(1.7)
    categories = [name for name, row in rows.items() if row.n <= 10]
    assert len(categories) == 9
    assert sum(rows[name].n for name in categories) == 80


def test_rethinking_data_selection() -> None:
    """Shen: every score is a whole number of wins over 1,030; diversity against random is noise, longest is not."""
    counts = read_counts(PUBLISHED / "shen.csv")
    assert all(one.n == 1030 for one in counts)
    rows = {(row.labels["data"], row.labels["comparison"], at): row for at, row in _by_assumption(count_rows(counts))}
    assert (
        rows["WizardLM", "Diversity 6% over random", 0].win - rows["WizardLM", "Diversity 6% over random", 0].lose == 11
    )
    for at in (0, 1):
        for data, comparison in (
            ("WizardLM", "Diversity 6% over random"),
            ("Alpaca", "Diversity 9K over random"),
            ("Dolly", "Quality 1K over random"),
            ("Dolly", "Diversity 3K over random"),
        ):
            assert not rows[data, comparison, at].stands
        for data, size in (("Alpaca", "1K"), ("Alpaca", "9K"), ("WizardLM", "6%"), ("Dolly", "1K"), ("Dolly", "3K")):
            assert rows[data, f"Longest {size} over random", at].stands_holm
    few, many = (rows["Alpaca", "Quality 1K over random", at] for at in (0, 1))
    assert (few.assumed_ties, many.assumed_ties) == (pytest.approx(0.2, abs=0.001), pytest.approx(0.3, abs=0.001))
    assert many.ci_high - many.ci_low < few.ci_high - few.ci_low


def _by_assumption(rows: list[CountRow]) -> list[tuple[int, CountRow]]:
    return [(place % 2, row) for place, row in enumerate(rows)]


def test_no_more_ties_than_there_is_room_for() -> None:
    """A score that leaves less than 20% for ties gets what it leaves, and the row says how much that is."""
    (low, _) = rows_of(ws=[0.1544], n=[1030])
    assert (low.win, low.tie, low.lose) == (0, 159, 871)
    assert low.assumed_ties == pytest.approx(159 / 1030)
    assert low.ws == pytest.approx(0.1544, abs=5e-5)


def test_net_and_ws_mean_the_same() -> None:
    """Wins less losses, or the winning score that they make: the same rows."""
    by_net, by_score = rows_of(net=[99], n=[1030]), rows_of(ws=[1.0961], n=[1030])
    assert [(row.win, row.tie, row.lose) for row in by_net] == [(row.win, row.tie, row.lose) for row in by_score]
    assert len(by_net) == 2


def test_holm_is_within_one_assumption() -> None:
    """Two assumptions about ties are two views of one family, not a larger family."""
    rows = rows_of(net=[80, 10], n=[1030, 1030])
    first = [row for place, row in enumerate(rows) if place % 2 == 0]
    assert first[0].p_holm == pytest.approx(2 * first[0].p)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"win": [1], "lose": [2]}, "needs the columns win, tie and lose, or n with net"),
        ({"win": [1], "tie": [1], "lose": [1], "n": [4]}, "row 1: win 1, tie 1 and lose 1 add up to 3, not 4"),
        ({"win": [-1], "tie": [1], "lose": [1]}, "row 1: win is -1, which is no count"),
        ({"win": [1.5], "tie": [1], "lose": [1]}, "counts are whole numbers"),
        ({"win": ["many"], "tie": [1], "lose": [1]}, "win is 'many', which is no count"),
        ({"win": [float("nan")], "tie": [1], "lose": [1]}, "which is no count"),
        ({"win": [0], "tie": [0], "lose": [0]}, "there is no comparison"),
        ({"ws": [2.5], "n": [10]}, "wins less losses are 15, more than the 10 comparisons"),
        ({"win": [None], "tie": [1], "lose": [1]}, "give win, tie and lose, or n with net or ws"),
        ({"win": [], "tie": [], "lose": []}, "no rows"),
    ],
)
def test_counts_that_cannot_be(columns: dict[str, list[Any]], match: str) -> None:
    """What contradicts itself is refused in one sentence that names the row."""
    with pytest.raises(DataError, match=match) as error:
        from_table(pa.table(columns))
    assert "\n" not in str(error.value)


def test_bad_numbers_beside_the_counts() -> None:
    """A share of ties or an alpha out of range is the user's mistake."""
    with pytest.raises(UsageError, match=r"share of ties is 1\.5"):
        read_counts("any.csv", [1.5])
    with pytest.raises(UsageError, match="alpha is 2"):
        count_rows([], 2.0)


def test_counts_as_json(tmp_path: Path) -> None:
    """Labels stay apart from numbers, whatever they are called."""
    path = tmp_path / "c.csv"
    path.write_text("arm,win,tie,lose,n\nlongest,5,1,4,10\n")
    (row,) = counts_json(count_rows(read_counts(path)))["counts"]
    assert row["labels"] == {"arm": "longest"}
    assert (row["n"], row["assumed_ties"], row["effect"]) == (10, None, pytest.approx(5))


def test_the_files_of_published_counts_are_read(run: Callable) -> None:
    """`selkit stats --counts` on each of them ends well and counts what stands."""
    for name, says in (
        ("moon", "39 of 60 stand on their items, 29 after"),
        ("car", "15 of 22 stand on their items, 8 after"),
        ("car-turned-round", "11 of 12 stand on their items, 10 after"),
        ("shen", "76 of 86 stand on their items, 71 after"),
    ):
        done = run(str(PUBLISHED / f"{name}.csv"), "--counts")
        assert done.returncode == 0
        assert says in done.stdout
