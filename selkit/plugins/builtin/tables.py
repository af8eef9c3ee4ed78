"""Small tables that a user hands to a built-in selector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from selkit.api import DataError


def read_table(path: Path) -> pa.Table:
    """A CSV, JSON, JSON Lines or Parquet file as a table.

    Raises:
        DataError: The file is missing, malformed, or of another kind.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}: check the path")
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"{path} is none of {', '.join(sorted(_READERS))}: convert it to one of these")
    try:
        return reader(path)
    except (pa.ArrowInvalid, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _json(path: Path) -> pa.Table:
    import json

    return pa.Table.from_pylist(json.loads(path.read_text(encoding="utf-8")))


def _jsonl(path: Path) -> pa.Table:
    import pyarrow.json

    return pyarrow.json.read_json(path)


def _csv(path: Path) -> pa.Table:
    import pyarrow.csv

    return pyarrow.csv.read_csv(path)


def _parquet(path: Path) -> pa.Table:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path)


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
