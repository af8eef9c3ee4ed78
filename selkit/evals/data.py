"""The local rows of a benchmark: where they are, and whether they are what the benchmark reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selkit.api import Benchmark, DataError

_JSON_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "a flag",
}


def find_data(benchmark: Benchmark, data: Path | None = None) -> Path:
    """The local file of a benchmark's rows: ``data``, or in the folder ``data``, or else among the shared data.

    Raises:
        DataError: There is none, and the sentence names the file that would serve; or its rows are not those of the
            benchmark.
    """
    path = next((place for place in _places(benchmark, data) if place.is_file()), None)
    if path is None:
        looked = f"there is neither a file {data} nor {benchmark.data_name} in it" if data else "no data is named"
        raise DataError(
            f"benchmark {benchmark.name!r} needs the rows of {benchmark.hub_data}, and {looked}: put them into a file "
            f"{benchmark.data_name} in a folder and name the folder with `data:`, or let SELKIT_SHARED_DATA name a "
            "folder that holds it as benchmarks"
        )
    check_data(benchmark, path)
    return path


def check_data(benchmark: Benchmark, path: Path) -> None:
    """Checks every row of a benchmark's data. Raises DataError, naming the row and the column."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as JSON Lines: {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataError(f"{path} has no rows: it must hold those of {benchmark.hub_data}, one JSON object a line")
    for number, line in rows:
        problem = _problem(benchmark.columns, line)
        if problem:
            raise DataError(
                f"{path}, line {number}: {problem}, so these are not the rows of {benchmark.hub_data} that benchmark "
                f"{benchmark.name!r} reads; it needs {', '.join(benchmark.columns) or 'JSON objects'}"
            )


def _places(benchmark: Benchmark, data: Path | None) -> list[Path]:
    if data is not None:  # what was named and is not there is not replaced by something else
        return [data, data / benchmark.data_name]
    shared = os.environ.get("SELKIT_SHARED_DATA")
    return [Path(shared) / "benchmarks" / benchmark.data_name] if shared else []


def _problem(columns: Mapping[str, type], line: str) -> str:
    """What is wrong with a row, as a clause; empty where nothing is."""
    try:
        row: Any = json.loads(line)
    except ValueError:
        return "this is not JSON"
    if not isinstance(row, dict):
        return "this is not a JSON object"
    for name, kind in columns.items():
        if name not in row:
            return f"there is no column {name!r}"
        if not isinstance(row[name], kind) or (kind is int and isinstance(row[name], bool)):
            return f"{name!r} is not {_JSON_NAMES.get(kind, kind.__name__)}"
    return ""
