"""The score table: what it accepts, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selkit.api import DataError
from selkit.stats import ScoreTable
from selkit.stats.cells import cells
from selkit.stats.table import combined

TWO = {"random": np.array([[0.1, 0.2], [0.3, 0.4]]), "longest": np.array([[0.5, 0.6]])}


def refused(columns: dict[str, list[Any]], match: str) -> None:
    """The table of these columns is refused in one sentence."""
    with pytest.raises(DataError, match=match) as error:
        ScoreTable.from_columns(columns)
    assert "\n" not in str(error.value)


def test_a_missing_column(columns: Callable) -> None:
    """The missing columns are named, and those that are there."""
    rows = columns(TWO)
    del rows["item"], rows["run"]
    refused(rows, r"lacks the columns run, item \(it has arm, benchmark, score\)")


@pytest.mark.parametrize("bad", [float("nan"), None, 1.5, -0.1, float("inf")])
def test_scores_outside_zero_to_one(columns: Callable, bad: float | None) -> None:
    """NaN, null and percentages are refused with the row they stand in."""
    rows = columns(TWO)
    rows["score"][3] = bad
    refused(rows, "1 scores are not numbers from 0 to 1, the first in row 4")


def test_a_row_that_stands_there_twice(columns: Callable) -> None:
    """A second score of the same arm, run, item and benchmark is refused, not averaged."""
    rows = {name: [*values, values[1]] for name, values in columns(TWO).items()}
    refused(rows, r"1 rows stand there twice, arm 'random' run 0 item 'i001' .*rows 2 and 7")


def test_the_same_item_in_two_places_is_no_duplicate(columns: Callable, joined: Callable) -> None:
    """Pool, budget and recipe tell rows apart."""
    parts = [columns(TWO, pool=pool, budget=budget) for pool in ("a", "b") for budget in (100, 200)]
    assert len(cells(ScoreTable.from_columns(joined(*parts)))) == 4


def test_an_empty_value_where_one_is_needed(columns: Callable) -> None:
    """A row without an arm is refused."""
    rows = columns(TWO)
    rows["arm"][2] = None
    refused(rows, "1 rows have no arm, the first is row 3")


def test_an_item_in_two_clusters(columns: Callable) -> None:
    """An item belongs to the same cluster in every run."""
    rows = columns(TWO) | {"cluster": ["p", "p", "p", "q", "p", "p"]}
    refused(rows, "item 'i001' of 'bench' is in two clusters")


def test_no_rows() -> None:
    """An empty table is refused."""
    refused({name: [] for name in ("arm", "run", "item", "benchmark", "score")}, "no rows")


def test_csv_keeps_names_that_look_like_numbers(tmp_path: Path) -> None:
    """Items 7 and 007 are two items, an arm may be called 1, and an empty pool is no pool."""
    path = tmp_path / "scores.csv"
    path.write_text("arm,run,item,benchmark,score,budget,pool\n1,0,7,b,0.5,1000,\n1,0,007,b,1,1000,\n")
    table = ScoreTable.read(path)
    assert table.arms == ("1",)
    assert table.names["item"] == ("007", "7")
    assert table.names["budget"] == (1000,)
    assert table.names["pool"] == ()
    assert table.scores.tolist() == [0.5, 1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("arm,run,item,benchmark,score\nr,0,a,b,high\n", "a score is not a number"),
        ("arm,run,item,benchmark,score\nr,0,a,b,nan\n", "the first in row 1 is missing or NaN"),
        ("arm,run,item,benchmark,score\nr,0,a\n", "cannot be read as a table"),
        ("", "cannot be read as a table"),
    ],
)
def test_csv_that_is_no_score_table(tmp_path: Path, text: str, match: str) -> None:
    """What is wrong with a file is said in one sentence that names it."""
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=match) as error:
        ScoreTable.read(path)
    assert "scores.csv" in str(error.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    """A missing file, an unknown ending and a broken Parquet file are told apart."""
    (tmp_path / "a.xlsx").write_text("x")
    (tmp_path / "a.parquet").write_text("x")
    for name, match in [("b.csv", "no file"), ("a.xlsx", "neither"), ("a.parquet", "cannot be read")]:
        with pytest.raises(DataError, match=match):
            ScoreTable.read(tmp_path / name)


def test_parquet_with_dictionaries_and_nulls(tmp_path: Path, columns: Callable) -> None:
    """Dictionary columns read like plain ones; a budget that nulls turned into a float is whole again."""
    rows = columns(TWO)
    arms = pa.array(rows.pop("arm")).dictionary_encode()
    budget = pa.array([1000.0] * 5 + [None])
    pq.write_table(pa.table({"arm": arms, **rows, "budget": budget}), tmp_path / "s.parquet")
    table = ScoreTable.read(tmp_path / "s.parquet")
    assert table.arms == ("longest", "random")
    assert table.names["budget"] == (1000,)
    assert table.codes["budget"].tolist() == [0] * 5 + [-1]


def test_matrices_hold_every_score_at_its_place(table: Callable) -> None:
    """A cell's matrix is the one the table was made of."""
    (cell,) = cells(table(TWO))
    matrix = cell.matrices["bench"]
    assert matrix.of("random").tolist() == TWO["random"].tolist()
    assert matrix.of("longest").tolist() == TWO["longest"].tolist()
    assert cell.runs == {"longest": (0,), "random": (0, 1)}


def test_items_that_a_run_lacks_are_listed(columns: Callable) -> None:
    """Scenario 52: different items are refused with the run and the items; intersecting keeps what all have."""
    scores = {"random": np.full((3, 9), 0.5), "longest": np.full((2, 9), 0.5)}
    rows = columns(scores)
    gone = [
        row
        for row in range(len(rows["arm"]))
        if rows["item"][row] in ("i002", "i004") and rows["arm"][row] == "longest"
    ]
    rows = {name: [v for row, v in enumerate(values) if row not in gone[:3]] for name, values in rows.items()}
    table = ScoreTable.from_columns(rows)
    with pytest.raises(
        DataError, match=r"arm 'longest' run 0 lacks 2 of the 9 items of 'bench' \(i002, i004\); so do 1"
    ):
        cells(table)
    (cell,) = cells(table, intersect=True)
    assert cell.matrices["bench"].scores.shape == (5, 7)
    assert cell.matrices["bench"].dropped == 2


def test_nothing_in_common(columns: Callable) -> None:
    """Runs without a common item cannot be compared, intersected or not."""
    rows = columns({"random": np.full((2, 2), 0.5)})
    rows["item"] = ["a", "b", "c", "d"]
    with pytest.raises(DataError, match="nothing in common"):
        cells(ScoreTable.from_columns(rows), intersect=True)


def test_budgets_are_in_the_order_of_their_size(columns: Callable, joined: Callable) -> None:
    """As numbers, as texts and as shares; not 1000 before 500."""
    parts = [columns(TWO, budget=budget) for budget in ("10%", "1000", "all", "5%", "500", "nan")]
    assert ScoreTable.from_columns(joined(*parts)).names["budget"] == ("500", "1000", "5%", "10%", "all", "nan")


def test_an_arm_without_budget_belongs_to_every_budget(columns: Callable, joined: Callable) -> None:
    """Null stands for everywhere: the untrained model and the full pool are in each cell of their pool."""
    random = {"random": np.full((3, 4), 0.5)}
    parts = [columns(random, pool=pool, budget=budget) for pool in ("a", "b") for budget in (10, 20)]
    full = columns({"full": np.full((1, 4), 0.6)}, pool="a")
    base = columns({"base": np.full((1, 4), 0.4)})
    found = cells(ScoreTable.from_columns(joined(*parts, full, base)))
    assert [(cell.place[:2], tuple(cell.runs)) for cell in found] == [
        (("a", 10), ("base", "full", "random")),
        (("a", 20), ("base", "full", "random")),
        (("b", 10), ("base", "random")),
        (("b", 20), ("base", "random")),
    ]


def test_an_arm_both_here_and_everywhere(columns: Callable, joined: Callable) -> None:
    """The same run with a budget and without one would count twice, so it is refused."""
    random = {"random": np.full((3, 4), 0.5)}
    rows = joined(columns(random, budget=10), columns(random))
    with pytest.raises(DataError, match="both for budget 10 and for everywhere"):
        cells(ScoreTable.from_columns(rows))


def test_codes_never_collide() -> None:
    """Rows that differ in one column alone get different codes, even where four columns leave 64 bits."""
    top = 2**20 - 2
    first = np.arange(0, top, 16)
    codes = [np.append(first, [top, top])] + [np.append(np.zeros_like(first), [top, top]) for _ in range(3)]
    key = combined(codes)
    assert len(np.unique(key)) == len(first) + 1
    assert key[-1] == key[-2]


def test_items_without_a_cluster_stand_alone(columns: Callable) -> None:
    """Where some items have a cluster and others none, the others are clusters of their own."""
    rows = columns({"random": np.full((2, 5), 0.5)}) | {"cluster": ["p", "q", "p", None, None] * 2}
    (cell,) = cells(ScoreTable.from_columns(rows))
    clusters = cell.matrices["bench"].clusters.tolist()
    assert clusters[0] == clusters[2]
    assert len(set(clusters)) == 4
