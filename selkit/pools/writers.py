"""Pools as files: JSON Lines, Parquet, and what LLaMA-Factory reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selkit.api.data import Example, Pool
from selkit.store.files import atomic_open, atomic_write_text

LLAMA_FACTORY_DATA = "llama_factory.json"
DATASET_INFO = "dataset_info.json"

_ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": "history", "system": "system"}


def write_jsonl(pool: Pool, path: Path, scores: Mapping[str, float] | None = None) -> None:
    """One row per line: id, score where there is one, then the pool's columns; an empty history is left out."""
    with atomic_open(path) as file:
        for row in _rows(pool, scores or {}):
            file.write((json.dumps(row, ensure_ascii=False, default=str) + "\n").encode("utf-8", "surrogatepass"))


def write_parquet(pool: Pool, path: Path) -> None:
    """The pool's table as it is."""
    with atomic_open(path) as file:
        pq.write_table(pool.table, file)


def write_llama_factory(pool: Pool, directory: Path, name: str) -> None:
    """The rows as LLaMA-Factory's alpaca format with their entry in dataset_info.json."""
    rows = [_llama_factory_row(example) for example in pool]
    atomic_write_text(directory / LLAMA_FACTORY_DATA, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    columns = {key: column for key, column in _ALPACA.items() if any(column in row for row in rows)}
    entry = {name: {"file_name": LLAMA_FACTORY_DATA, "formatting": "alpaca", "columns": columns}}
    atomic_write_text(directory / DATASET_INFO, json.dumps(entry, indent=2) + "\n")


def _rows(pool: Pool, scores: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for batch in pool.table.to_batches(max_chunksize=8192):
        for row in batch.to_pylist():
            first = {"id": row.pop("id")}
            if first["id"] in scores:
                first["score"] = scores[first["id"]]
            if not row["history"]:
                del row["history"]
            if "score" in first:
                row.pop("score", None)
            yield first | row


def _llama_factory_row(example: Example) -> dict[str, Any]:
    row: dict[str, Any] = {"instruction": example.instruction, "input": example.input, "output": example.response}
    system = "\n".join(turn.content for turn in example.history if turn.role == "system")
    turns = [turn for turn in example.history if turn.role != "system"]
    pairs = [[a.content, b.content] for a, b in zip(turns[::2], turns[1::2], strict=False)]
    return row | ({"system": system} if system else {}) | ({"history": pairs} if pairs else {})
