"""The score table: who scored what, on which item, in which run. The one input of every statistic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from selkit.api.errors import DataError

REQUIRED = ("arm", "run", "item", "benchmark", "score")
"""Columns that a score table must have."""

OPTIONAL = ("cluster", "recipe", "pool", "budget", "model")
"""Columns that it may have; a column that is absent is all null."""

COLUMNS = REQUIRED + OPTIONAL
PLACE = ("pool", "budget", "model", "recipe")
"""The columns that say where an arm ran. A null stands for everywhere: an untrained model belongs to every budget."""

_KEYS = tuple(name for name in COLUMNS if name not in ("score", "cluster"))


@dataclass(frozen=True)
class ScoreTable:
    """Validated scores in columnar form.

    Attributes:
        scores: Scores in [0, 1], shape (rows,).
        codes: For every column but the score, one integer per row into ``names``; -1 stands for null.
        names: The distinct values of each column, sorted, numbers before text; budgets by their size.
    """

    scores: NDArray[np.float64]
    codes: Mapping[str, NDArray[np.int64]]
    names: Mapping[str, tuple[Any, ...]]

    @classmethod
    def read(cls, path: str | Path) -> ScoreTable:
        """The table in a Parquet or CSV file, by its ending (.parquet, or .csv and .csv.gz).

        Raises:
            DataError: The file cannot be read, or the table breaks the contract (see :meth:`from_arrow`).
        """
        path = Path(path)
        # As text, because an item called 007 is not the item 7; only the budget is a number where it looks like one.
        types = {name: pa.string() for name in COLUMNS if name != "budget"}
        return cls.from_arrow(read_arrow(path, ", ".join(REQUIRED), types), source=path.name)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> ScoreTable:
        """The table of these columns (lists or arrays of one length); see :meth:`from_arrow`."""
        return cls.from_arrow(pa.table(dict(columns)))

    @classmethod
    def from_arrow(cls, table: pa.Table, *, source: str = "the score table") -> ScoreTable:
        """The table of these Arrow columns: :data:`REQUIRED`, and :data:`OPTIONAL` where there; others are ignored.

        Raises:
            DataError: A column is missing, a required value is null, a score is NaN or outside [0, 1], a row stands
                there twice, or one item has two clusters.
        """
        _check_columns(table, source)
        scores = _scores(table["score"], source)
        encoded = {name: _encode(table, name, source) for name in COLUMNS if name != "score"}
        codes = {name: code for name, (code, _) in encoded.items()}
        _check_unique(table, codes, source)
        _check_clusters(table, codes, source)
        return cls(scores, codes, {name: values for name, (_, values) in encoded.items()})

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, sorted."""
        return self.names["arm"]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks, sorted."""
        return self.names["benchmark"]


def combined(codes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """One integer per row that is equal exactly where all of ``codes`` (each at least -1) are equal."""
    key = np.zeros(len(codes[0]), np.int64)
    bound = 1
    for code in codes:
        size = int(code.max(initial=-1)) + 2
        if bound * size >= 2**62:
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
            bound = int(key.max(initial=0)) + 1
        key, bound = key * size + code + 1, bound * size
    return key


def read_arrow(path: Path, columns: str, types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """The table in a Parquet or CSV file, by its ending.

    Args:
        path: The file.
        columns: The columns that are wanted, for the sentence on a file that is not there.
        types: What columns of a CSV hold; the others are guessed.

    Raises:
        DataError: There is no such file, it has another ending, or it cannot be read.
    """
    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"there is no file {path}: give a Parquet or CSV file with the columns {columns}")
    try:
        if name.endswith(".parquet"):
            from pyarrow import parquet

            return parquet.read_table(path)
        if name.endswith((".csv", ".csv.gz")):
            from pyarrow import csv

            convert = csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
            return csv.read_csv(path, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} cannot be read as a table: {str(error).splitlines()[0]}") from error
    raise DataError(f"{path.name} is neither .parquet nor .csv: scores are read from one of the two")


def _check_columns(table: pa.Table, source: str) -> None:
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        have = ", ".join(table.column_names) or "none"
        raise DataError(f"{source} lacks the columns {', '.join(missing)} (it has {have}): add or rename them")
    if table.num_rows == 0:
        raise DataError(f"{source} has no rows, so there is nothing to compare")


def _scores(column: pa.ChunkedArray, source: str) -> NDArray[np.float64]:
    try:
        values = column.cast(pa.float64())
    except pa.ArrowException as error:
        raise DataError(f"{source}: a score is not a number ({str(error).splitlines()[0]})") from error
    scores = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        value = column[int(bad[0])].as_py()
        shown = "missing or NaN" if value is None or scores[bad[0]] != scores[bad[0]] else value
        raise DataError(
            f"{source}: {len(bad)} scores are not numbers from 0 to 1, the first in row {bad[0] + 1} is {shown}: "
            "divide percentages by 100 and leave out what was not scored"
        )
    return scores


def _encode(table: pa.Table, name: str, source: str) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    if name not in table.column_names:
        return np.full(table.num_rows, -1, np.int64), ()
    column = table[name]
    if name in REQUIRED and column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0]) + 1
        raise DataError(f"{source}: {column.null_count} rows have no {name}, the first is row {row}: fill them in")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = [_plain(value) for value in encoded.dictionary.to_pylist()]
    if name in ("arm", "benchmark"):
        values = [str(value) for value in values]
    key = _size if name == "budget" else _sort_key
    order = sorted(range(len(values)), key=lambda position: key(values[position]))
    rank = np.empty(len(values) + 1, np.int64)
    rank[order] = np.arange(len(values))
    rank[-1] = -1  # null is encoded as the last position
    positions = pc.fill_null(encoded.indices, len(values)).to_numpy(zero_copy_only=False)
    return rank[positions.astype(np.int64)], tuple(values[position] for position in order)


def _plain(value: Any) -> Any:
    """1000.0 is the budget 1000, which is what a column with nulls turns it into."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sort_key(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, (int, float))
    return (not number, float(value) if number else 0.0, str(value))


def _size(budget: Any) -> tuple[int, float, str]:
    """Budgets by their size, also where they are texts: numbers of rows, shares of the pool, anything else."""
    text = str(budget)
    try:
        size = float(text.removesuffix("%"))
    except ValueError:
        return 2, 0.0, text
    return (int(text.endswith("%")), size, text) if math.isfinite(size) else (2, 0.0, text)


def _check_unique(table: pa.Table, codes: Mapping[str, NDArray[np.int64]], source: str) -> None:
    key = combined([codes[name] for name in _KEYS])
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    if len(again):
        first, second = int(order[again[0]]), int(order[again[0] + 1])
        raise DataError(
            f"{source}: {len(again)} rows stand there twice, {_place(table, first)} for one in rows {first + 1} and "
            f"{second + 1}: keep one score per arm, run, item and benchmark"
        )


def _check_clusters(table: pa.Table, codes: Mapping[str, NDArray[np.int64]], source: str) -> None:
    if not (codes["cluster"] >= 0).any():
        return
    item = combined([codes["benchmark"], codes["pool"], codes["item"]])
    order = np.argsort(item, kind="stable")
    same = np.diff(item[order]) == 0
    clash = np.flatnonzero(same & (np.diff(codes["cluster"][order]) != 0))
    if len(clash):
        _two_clusters(table, int(order[clash[0] + 1]), source)


def _two_clusters(table: pa.Table, row: int, source: str) -> NoReturn:
    item, benchmark = (table[name][row].as_py() for name in ("item", "benchmark"))
    raise DataError(f"{source}: item {item!r} of {benchmark!r} is in two clusters: an item belongs to one")


def _place(table: pa.Table, row: int) -> str:
    return " ".join(f"{name} {table[name][row].as_py()!r}" for name in ("arm", "run", "item", "benchmark"))
