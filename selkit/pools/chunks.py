"""A few thousand rows at a time, whatever file they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from selkit.pools.columns import Conflict, cell_array, json_array, storable, text_cells, typed_array

ROWS = 4096
"""Rows in a chunk at most."""

BYTES = 4 * 2**20
"""Bytes of source text in a chunk, about; rows of a megabyte make small chunks."""


_NAN = frozenset({"nan", "NaN"})


class Chunk(Protocol):
    """Some rows of a file. ``lines`` are their numbers in it, from 1; ``names`` are their columns."""

    @property
    def lines(self) -> Sequence[int]:
        """The number of each row in the file."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""

    def rows(self, needed: Iterable[str]) -> Sequence[Mapping[str, Any]]:
        """The rows; at least their ``needed`` columns."""

    def column(self, name: str, kept: Sequence[int], as_text: bool) -> pa.Array:
        """One column of the rows at positions ``kept``. Raises Conflict where it has no type and not ``as_text``."""


@dataclass(frozen=True)
class DictChunk:
    """Rows that were objects in JSON."""

    lines: list[int]
    values: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """Every key that a row has, in the order of appearance."""
        return list(dict.fromkeys(key for row in self.values for key in row))

    def rows(self, needed: Iterable[str]) -> list[dict[str, Any]]:
        """The rows themselves."""
        return self.values

    def column(self, name: str, kept: Sequence[int], as_text: bool) -> pa.Array:
        """One column; as JSON text where ``as_text``."""
        values = [self.values[i].get(name) for i in kept]
        return json_array(values) if as_text else typed_array(values)


@dataclass(frozen=True)
class CellChunk(DictChunk):
    """Rows of a CSV file: every value is text, but for the NaN that data frames write where there is no value."""

    def rows(self, needed: Iterable[str]) -> list[dict[str, Any]]:
        """The rows' needed cells; None where a cell says NaN."""
        header = self.values[0].keys()
        names = [name for name in needed if name in header]
        return [{name: None if row[name] in _NAN else row[name] for name in names} for row in self.values]

    def column(self, name: str, kept: Sequence[int], as_text: bool) -> pa.Array:
        """One column; as it stands in the file where ``as_text``."""
        cells = [self.values[i][name] for i in kept]
        return text_cells(cells) if as_text else cell_array(cells)


@dataclass(frozen=True)
class ArrowChunk:
    """Rows that are in Arrow's form already, with the types of the file."""

    lines: range
    batch: pa.RecordBatch

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.batch.schema.names)

    def rows(self, needed: Iterable[str]) -> list[dict[str, Any]]:
        """The rows' needed columns as Python objects."""
        wanted = [name for name in self.names if name in set(needed)]
        rows: list[dict[str, Any]] = self.batch.select(wanted).to_pylist()
        return rows

    def column(self, name: str, kept: Sequence[int], as_text: bool) -> pa.Array:
        """One column with the type it has in the file."""
        array = self.batch.column(name)
        if len(kept) != len(array):
            array = array.take(pa.array(kept, pa.int64()))
        if as_text:
            return json_array(array.to_pylist())
        try:
            return storable(array)
        except pa.ArrowException as error:
            raise Conflict from error


def in_chunks(
    rows: Iterable[tuple[int, dict[str, Any], int]], make: type[DictChunk], most_rows: int = ROWS
) -> Iterator[DictChunk]:
    """Rows with their line numbers and sizes in bytes, gathered into chunks."""
    lines: list[int] = []
    values: list[dict[str, Any]] = []
    size = 0
    for line, value, length in rows:
        lines.append(line)
        values.append(value)
        size += length
        if len(lines) >= most_rows or size >= BYTES:
            yield make(lines, values)
            lines, values, size = [], [], 0
    if lines:
        yield make(lines, values)
