"""Pools as files: JSON Lines, Parquet, and what LLaMA-Factory reads. A file appears whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from selkit.api.data import Example, Pool, Turn
from selkit.api.errors import DataError, UsageError
from selkit.files import atomic_open, atomic_write_text

LLAMA_FACTORY_DATA = "llama_factory.json"
"""Name of the file with the rows that LLaMA-Factory reads."""

DATASET_INFO = "dataset_info.json"
"""Name of the file in which LLaMA-Factory looks data sets up."""

_BATCH = 4096
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output"}
_CONVERSATION: dict[str, Any] = {
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def write_jsonl(pool: Pool, path: str | Path, scores: Mapping[str, float] | None = None) -> None:
    """Writes one row per line: id, score where there is one, then the pool's columns.

    An empty history is left out, and a score that is no number is null. A column ``score`` of the pool's own becomes
    ``original_score`` where scores are given. Reading the file gives the same rows with the same ids.

    Raises:
        DataError: The place cannot be written to.
    """
    with atomic_open(path) as file:
        for row in _rows(pool, scores):
            file.write(_json(row) + b"\n")


def write_parquet(pool: Pool, path: str | Path) -> None:
    """Writes the pool's table as it is. Raises DataError where the place cannot be written to."""
    import pyarrow.parquet as pq

    with atomic_open(path) as file:
        pq.write_table(pool.table, file)


def write_pool(pool: Pool, path: str | Path, *, force: bool = False) -> None:
    """Writes a pool as JSON Lines or Parquet, by what the file's name ends in (.jsonl, .parquet).

    Raises:
        UsageError: It ends in something else.
        DataError: The file is there already and ``force`` is not set, or the place cannot be written to.
    """
    path = Path(path)
    writer = {".jsonl": write_jsonl, ".parquet": write_parquet}.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"cannot tell how to write {path}: its name should end in .jsonl or .parquet")
    if path.exists() and not force:
        raise DataError(f"{path} is there already: choose another name, or add --force to replace it")
    writer(pool, path)


def write_llama_factory(pool: Pool, directory: str | Path, name: str) -> None:
    """Writes the rows for LLaMA-Factory, and their entry ``name`` in the folder's dataset_info.json.

    Single-turn pools are written in its alpaca format; where a row has earlier turns or a system prompt, all rows are
    written as conversations. Other entries of the file stay.

    Raises:
        DataError: The place cannot be written to.
    """
    directory = Path(directory)
    turns = bool(pc.any(pc.greater(pc.list_value_length(pool.column("history")), 0)).as_py())
    _write_list(directory / LLAMA_FACTORY_DATA, map(_conversation_row if turns else _alpaca_row, pool))
    how = {"formatting": "sharegpt", **_CONVERSATION} if turns else {"formatting": "alpaca", "columns": _ALPACA}
    entries = _entries(directory / DATASET_INFO) | {name: {"file_name": LLAMA_FACTORY_DATA, **how}}
    atomic_write_text(directory / DATASET_INFO, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def _rows(pool: Pool, scores: Mapping[str, float] | None) -> Iterator[dict[str, Any]]:
    for batch in pool.table.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            first = {"id": row.pop("id")}
            if scores is not None:
                if "score" in row:
                    row["original_score"] = row.pop("score")
                if first["id"] in scores:
                    first["score"] = scores[first["id"]]
            if not row["history"]:
                del row["history"]
            yield first | row


def _json(value: Any) -> bytes:
    try:
        return _encode(value).encode()
    except ValueError:  # NaN and infinities have no JSON
        return _encode(_without_nan(value)).encode()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_list(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with atomic_open(path) as file:
        mark = b"[\n"
        for row in rows:
            file.write(mark + _json(row))
            mark = b",\n"
        file.write(b"[]\n" if mark == b"[\n" else b"\n]\n")


def _alpaca_row(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "instruction": example.instruction,
        "input": example.input,
        "output": example.response,
    }


def _conversation_row(example: Example) -> dict[str, Any]:
    turns = (*example.history, Turn("user", example.question), Turn("assistant", example.response))
    return {"id": example.id, "messages": [turn._asdict() for turn in turns]}


def _entries(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
