"""The local rows of a benchmark: where they are, and whether they are what the benchmark reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selkit.api import Benchmark, DataError
from selkit.files import own_cache
from selkit.store import canonical_json, digest_text

_JSON_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "a flag",
}


def find_data(benchmark: Benchmark, data: Path | None = None) -> dict[str, Path]:
    """The local file of each split of a benchmark, checked.

    Args:
        benchmark: The benchmark.
        data: The folder that holds its files under their names, itself or in its ``benchmarks/``; or the one file of a
            benchmark of one split. By default they are looked for among the shared data, then among what was
            prefetched.

    Raises:
        DataError: One is missing, and the sentence names the file that would serve; or its rows are not those of the
            benchmark.
    """
    files = {split: _find(benchmark, name, data) for split, name in benchmark.splits.items()}
    for path in files.values():
        check_data(benchmark, path)
    return files


def _find(benchmark: Benchmark, name: str, data: Path | None) -> Path:
    path = next((place for place in _places(benchmark, name, data) if place.is_file()), None)
    if path is None:
        looked = f"there is neither a file {data} nor {name} in it" if data else "no data is named"
        raise DataError(
            f"benchmark {benchmark.label!r} needs the rows of {benchmark.hub_data}, and {looked}: put them into a file "
            f"{name} in a folder and name that folder as its data, or let SELKIT_SHARED_DATA name a folder in which it "
            f"stands as benchmarks/{name}{_or_fetched(benchmark)}"
        )
    return path


def _or_fetched(benchmark: Benchmark) -> str:
    return "" if benchmark.hub is None else ", or run `selkit eval prefetch` where there is a network"


def fetched_folder() -> Path:
    """Where `selkit eval prefetch` puts the rows of benchmarks."""
    return own_cache() / "benchmarks"


def rows_digest(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """SHA-256 over the columns of rows in their order, 64 hex digits; other columns and the file's layout do not count.

    Args:
        rows: The rows.
        columns: What of each is read.
    """
    named = sorted(columns)
    return digest_text("\n".join(canonical_json([row.get(name) for name in named]) for row in rows))


def departures(benchmark: Benchmark, files: Mapping[str, Path]) -> list[str]:
    """How local rows differ from those that the benchmark declares, as clauses.

    Args:
        benchmark: The benchmark.
        files: The checked file of each split.
    """
    said = []
    for number, (split, path) in enumerate(files.items()):
        rows = read_rows(path)
        declared = benchmark.digests.get(split)
        if number == 0 and benchmark.size and len(rows) != benchmark.size:
            said.append(f"{len(rows)} rows, and {benchmark.size} are published")
        if declared and rows_digest(rows, benchmark.columns) != declared:
            said.append(f"the rows of its split {split!r} are not the declared ones")
    return said


def check_data(benchmark: Benchmark, path: Path) -> None:
    """Checks every row of a benchmark's data. Raises DataError, naming the row and the column."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
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
                f"{benchmark.label!r} reads; it needs {', '.join(benchmark.columns) or 'JSON objects'}"
            )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a checked file."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def check_rows(benchmark: Benchmark, path: Path) -> None:
    """Asks the benchmark itself about every row, where what it asks with is installed. Raises DataError."""
    for number, row in enumerate(read_rows(path), 1):
        if clause := benchmark.check_row(row):
            raise DataError(f"{path}, row {number}: {clause}; take the rows as {benchmark.hub_data} has them")


def load_splits(splits: Mapping[str, str], **_: Any) -> dict[str, Any]:
    """The rows of local files for lm-eval, which hands its metadata over as well.

    Not through the cache of datasets, which can hand out rows of an earlier file.

    Args:
        splits: Path of each split's file.
    """
    from datasets import Dataset

    return {split: Dataset.from_list(read_rows(Path(path))) for split, path in splits.items()}


def _places(benchmark: Benchmark, name: str, data: Path | None) -> list[Path]:
    if data is not None:  # what was named and is not there is not replaced by something else
        inside = [data / name, data / "benchmarks" / name]
        return [data, *inside] if len(benchmark.splits) == 1 else inside
    shared = os.environ.get("SELKIT_SHARED_DATA")
    return [*([Path(shared) / "benchmarks" / name] if shared else []), fetched_folder() / name]


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
