"""Arrow types for the further columns of a pool, whose types nobody declared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import Any

import pyarrow as pa

_INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT = range(-(2**53), 2**53 + 1)
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "True": True, "false": False, "False": False}
_NOTHING = frozenset({"", "nan", "NaN"})


class Conflict(Exception):
    """The values of a column have no Arrow type in common."""


def infer(values: Iterable[Any]) -> pa.DataType:
    """The Arrow type that holds every one of these JSON values exactly, nested ones included.

    Objects become structs only where all have the same keys, so that writing them gives back what was read.

    Raises:
        Conflict: There is no such type.
    """
    values = [value for value in values if value is not None]
    kinds = set(map(type, values))
    if not kinds:
        return pa.null()
    if kinds == {str}:
        return pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if kinds <= {int, float}:
        return _number_type(values, kinds)
    if kinds == {list}:
        return pa.list_(infer(chain.from_iterable(values)))
    if kinds == {dict}:
        return _struct_type(values)
    raise Conflict


def _number_type(values: Sequence[Any], kinds: set[type]) -> pa.DataType:
    allowed = _INT64 if kinds == {int} else _EXACT_IN_FLOAT
    if all(value in allowed for value in values if type(value) is int):
        return pa.int64() if kinds == {int} else pa.float64()
    raise Conflict


def _struct_type(values: Sequence[dict[str, Any]]) -> pa.DataType:
    names = tuple(values[0])
    if not names or any(value.keys() != values[0].keys() for value in values):
        raise Conflict
    return pa.struct([(name, infer(value[name] for value in values)) for name in names])


def unify(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """The type that holds what either type holds; whether every number fits is seen when it is cast.

    Raises:
        Conflict: There is none.
    """
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if {first, second} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if _is_list(first) and _is_list(second):
        return pa.list_(unify(first.value_type, second.value_type))
    if pa.types.is_struct(first) and pa.types.is_struct(second):
        return _unify_structs(first, second)
    if _is_text(first) and _is_text(second):
        return pa.large_string()
    raise Conflict


def _unify_structs(first: pa.StructType, second: pa.StructType) -> pa.DataType:
    left, right = ({field.name: field.type for field in kind} for kind in (first, second))
    if left.keys() != right.keys():
        raise Conflict
    return pa.struct([(name, unify(kind, right[name])) for name, kind in left.items()])


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def fit(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """An array as one of a type from :func:`unify`. Raises Conflict where a value does not fit exactly."""
    if array.type == kind:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    try:
        return array.cast(kind)
    except pa.ArrowException as error:
        raise Conflict from error


def typed_array(values: Sequence[Any]) -> pa.Array:
    """Values as an Arrow array of the type they have in common. Raises Conflict where there is none."""
    try:
        return pa.array(values, infer(values))
    except (pa.ArrowInvalid, RecursionError) as error:
        raise Conflict from error


def json_array(values: Iterable[Any]) -> pa.Array:
    """Values as JSON text; null stays null."""
    return pa.array([None if value is None else to_json(value) for value in values], pa.string())


def to_json(value: Any) -> str:
    """One value as JSON text; what JSON has no form for (dates, decimals) as its own text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def cell_array(cells: Sequence[str]) -> pa.Array:
    """The cells of one column of a CSV file, typed where all of them are whole numbers, numbers, or true and false.

    Empty cells and NaN are null. A number that is not written as numbers usually are, e.g. '007', makes it text.
    """
    values = [None if cell in _NOTHING else cell for cell in cells]
    for pattern, make, kind in ((_WHOLE, int, pa.int64()), (_NUMBER, float, pa.float64())):
        if all(value is None or _matches(pattern, value) for value in values):
            return pa.array([None if value is None else make(value) for value in values], _or_null(values, kind))
    if all(value is None or value in _TRUTH for value in values):
        return pa.array([None if value is None else _TRUTH[value] for value in values], pa.bool_())
    return text_cells(cells)


def text_cells(cells: Sequence[str]) -> pa.Array:
    """The cells of one column of a CSV file as they stand there; empty ones are null."""
    return pa.array([cell or None for cell in cells], pa.string())


def _matches(pattern: re.Pattern[str], value: str) -> bool:
    return pattern.fullmatch(value) is not None and any(c.isdigit() for c in value)


def _or_null(values: Sequence[Any], kind: pa.DataType) -> pa.DataType:
    return kind if any(value is not None for value in values) else pa.null()


def storable(array: pa.Array) -> pa.Array:
    """An array whose type can stand in an Arrow file batch after batch: dictionaries become their values."""
    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    return array


def harmonise(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The same tables with the same columns of the same types: missing ones null, conflicting ones as JSON text."""
    names = list(dict.fromkeys(name for table in tables for name in table.column_names))
    columns = [_alike([_column(table, name) for table in tables]) for name in names]
    return [pa.table(dict(zip(names, of, strict=True))) for of in zip(*columns, strict=True)]


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    return table[name] if name in table.column_names else pa.chunked_array([pa.nulls(len(table))])


def _alike(columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    try:
        common = reduce(unify, [column.type for column in columns])
        return [fit(column, common) for column in columns]
    except Conflict:
        return [pa.chunked_array([json_array(part.to_pylist()) for part in one.chunks], pa.string()) for one in columns]
