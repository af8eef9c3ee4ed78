"""Further columns keep their names and values, whatever types they have."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.pools import load_pool
from selkit.pools.columns import Conflict, cell_array, fit, infer, typed_array, unify

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def _same(left: Any, right: Any) -> bool:
    """Equality that tells true from 1 and lets 1 be 1.0."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and left == right


@given(st.lists(JSON, max_size=6))
def test_typed_values_come_back_as_they_were(values: list[Any]) -> None:
    """An array that has a type gives back exactly the values that went in."""
    try:
        array = typed_array(values)
    except Conflict:
        return
    assert _same(array.to_pylist(), values)


@given(st.lists(JSON, max_size=4), st.lists(JSON, max_size=4))
def test_unified_types_hold_both_sides(left: list[Any], right: list[Any]) -> None:
    """What two batches have in common holds the values of both, or casting says that it does not."""
    try:
        arrays = [typed_array(left), typed_array(right)]
        common = unify(arrays[0].type, arrays[1].type)
        cast = [fit(array, common).to_pylist() for array in arrays]
    except Conflict:
        return
    assert _same(cast, [left, right])


def test_conflicts_are_told() -> None:
    """Values without a type in common are refused, not converted."""
    for values in ([1, "a"], [True, 1], [[1], "a"], [{"a": 1}, {"b": 1}], [2**63], [2**60, 0.5], [{}]):
        with pytest.raises(Conflict):
            infer(values)


def test_column_whose_type_changes_becomes_json_text(write_lines: Any) -> None:
    """A type conflict, even thousands of rows later, makes the column JSON text and loses no value."""
    values = [1, {"a": [1, None]}, None, "x", [True]]
    rows = [{"instruction": f"q{i}", "output": "a", "mixed": 1, "late": "s"} for i in range(5000)]
    rows += [{"instruction": f"z{i}", "output": "a", "mixed": value, "late": i} for i, value in enumerate(values)]
    pool = load_pool(write_lines(rows))
    assert [None if text is None else json.loads(text) for text in pool.column("mixed").to_pylist()[5000:]] == values
    assert pool.column("late").to_pylist()[4999:5001] == ['"s"', "0"]


def test_columns_that_come_and_go(write_lines: Any) -> None:
    """A column that only some thousands of rows have is null in the others; whole numbers and fractions go together."""
    rows: list[dict[str, Any]] = [{"instruction": f"q{i}", "output": "a"} for i in range(9000)]
    rows[0] |= {"n": 1}
    rows[8500] |= {"n": 0.5, "tags": ["x"]}
    pool = load_pool(write_lines(rows))
    assert (pool.column("n")[0].as_py(), pool.column("n")[8500].as_py(), pool.column("n").null_count) == (
        1.0,
        0.5,
        8998,
    )
    assert pool.column("tags")[8500].as_py() == ["x"]


def test_numbers_that_a_fraction_cannot_hold(write_lines: Any) -> None:
    """A large whole number is not rounded because a fraction comes later, beside another column that has no type."""
    common = {"output": "a", "n": 2**60 + 1, "mixed": 1}
    rows: list[dict[str, Any]] = [{"instruction": f"q{i}", **common} for i in range(5000)]
    pool = load_pool(write_lines([*rows, {"instruction": "z", "output": "a", "n": 0.5, "mixed": "x"}]))
    assert pool.column("n")[0].as_py() == str(2**60 + 1)
    assert pool.column("mixed")[5000].as_py() == '"x"'


def test_nested_columns_keep_their_types(write_lines: Any) -> None:
    """Objects with the same keys are structs."""
    rows = [{"instruction": f"q{i}", "output": "a", "meta": {"lang": "de", "n": [i]}} for i in range(3)]
    pool = load_pool(write_lines(rows))
    assert pa.types.is_struct(pool.column("meta").type)
    assert [row.extra["meta"]["n"] for row in pool] == [[0], [1], [2]]


def test_parquet_types_are_kept(tmp_path: Path) -> None:
    """Dates, fractions and dictionaries of a Parquet file keep type and value; NaN stays a number."""
    day = datetime.date(2024, 2, 29)
    table = pa.table(
        {
            "instruction": ["a", "b", "c"],
            "output": ["x", None, "z"],
            "day": pa.array([day] * 3),
            "kind": pa.array(["k", "l", "k"]).dictionary_encode(),
            "score": pa.array([math.nan, 1.0, 2.0], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "pool.parquet")
    pool = load_pool(tmp_path / "pool.parquet")
    assert pool.column("day").to_pylist() == [day, day]
    assert pool.column("kind").to_pylist() == ["k", "k"]
    assert pool.column("score").type == pa.float32()
    assert math.isnan(pool.column("score")[0].as_py())
    assert [row.line for row in pool.dropped] == [2]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "", "-2"], [1, None, -2]),
        (["1", "2.5", "nan"], [1.0, 2.5, None]),
        (["1e3", ".5"], [1000.0, 0.5]),
        (["true", "False", ""], [True, False, None]),
        (["007", "8"], ["007", "8"]),
        (["1", "x"], ["1", "x"]),
        (["None", "1"], ["None", "1"]),
        (["", ""], [None, None]),
        (["-", "1"], ["-", "1"]),
        (["9" * 30], [float("9" * 30)]),
    ],
)
def test_cells_are_typed_only_where_all_agree(cells: list[str], values: list[Any]) -> None:
    """A CSV column is numbers, or true and false, only where every cell is; otherwise it is text as it stands."""
    assert cell_array(cells).to_pylist() == values
