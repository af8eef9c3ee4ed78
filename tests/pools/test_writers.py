"""What is written can be read, and is the same."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import DataError, Example, Pool, Turn, UsageError
from selkit.pools import load_pool, planted_pool, write_jsonl, write_llama_factory, write_parquet, write_pool

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: not text.isspace()
)
ROLES = st.sampled_from(["system", "user", "assistant"])
EXAMPLES = st.builds(
    lambda **parts: Example(id="", source="s", **parts),
    instruction=TEXT,
    input=st.just("") | TEXT,
    response=TEXT,
    history=st.lists(st.builds(Turn, ROLES, TEXT), max_size=3).map(tuple),
    extra=st.fixed_dictionaries({"note": st.none() | TEXT, "n": st.integers(-(2**60), 2**60), "ok": st.booleans()}),
)


def _pool(examples: list[Example]) -> Pool:
    numbered = [
        Example(f"id {i}", e.instruction, e.input, e.response, e.history, e.source, e.extra)
        for i, e in enumerate(examples)
    ]
    return Pool.from_examples(numbered)


@settings(deadline=None, max_examples=60)
@given(st.lists(EXAMPLES, min_size=1, max_size=5))
def test_any_row_survives_writing_and_reading(examples: list[Example]) -> None:
    """Rows in any script, with control characters and turns, come back from both kinds of file as they were."""
    pool = _pool(examples)
    with tempfile.TemporaryDirectory() as folder:
        for write, name in ((write_jsonl, "a.jsonl"), (write_parquet, "a.parquet")):
            write(pool, Path(folder) / name)
            again = load_pool(Path(folder) / name)
            assert list(again) == list(pool)
            assert again.fingerprint == pool.fingerprint


def test_selection_file_has_id_and_score_first(tmp_path: Path) -> None:
    """A line holds id and score, then the pool's columns; an empty history is left out, NaN is null."""
    turns = (Turn("user", "a"), Turn("assistant", "b"))
    pool = Pool.from_examples([Example("1", "q", "", "r", extra={"score": 5}), Example("2", "q", "", "r", turns)])
    write_jsonl(pool, tmp_path / "s.jsonl", scores={"1": math.nan})
    first, second = (json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines())
    assert list(first) == ["id", "score", "instruction", "input", "response", "source", "original_score"]
    assert (first["score"], first["original_score"]) == (None, 5)
    assert "score" not in second
    assert second["history"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def test_selection_folder_is_a_pool(tmp_path: Path) -> None:
    """A folder that holds a selection is read as the pool of the chosen rows."""
    pool = planted_pool(rows=20)
    write_jsonl(pool, tmp_path / "selection.jsonl")
    assert load_pool(tmp_path).ids == pool.ids


def test_llama_factory_alpaca(tmp_path: Path) -> None:
    """Single-turn rows are written in the alpaca format, and every named column is there."""
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "x.json"}}')
    write_llama_factory(Pool.from_examples([Example("1", "q", "i", "ü")]), tmp_path, "chosen")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert set(info) == {"mine", "chosen"}
    rows = json.loads((tmp_path / info["chosen"]["file_name"]).read_text())
    columns = info["chosen"]["columns"]
    assert info["chosen"]["formatting"] == "alpaca"
    assert [rows[0][columns[key]] for key in ("prompt", "query", "response")] == ["q", "i", "ü"]


def test_llama_factory_conversations(tmp_path: Path) -> None:
    """Where a row has earlier turns, all rows are conversations in its sharegpt format."""
    turns = (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"))
    rows = [Example("1", "q", "i", "r", turns), Example("2", "q", "", "r")]
    write_llama_factory(Pool.from_examples(rows), tmp_path, "chosen")
    entry = json.loads((tmp_path / "dataset_info.json").read_text())["chosen"]
    first, second = json.loads((tmp_path / entry["file_name"]).read_text())
    tags = entry["tags"]
    said = [(turn[tags["role_tag"]], turn[tags["content_tag"]]) for turn in first[entry["columns"]["messages"]]]
    assert entry["formatting"] == "sharegpt"
    assert said == [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "q\ni"), ("assistant", "r")]
    assert len(second[entry["columns"]["messages"]]) == 2


def test_llama_factory_files_can_be_read_back(tmp_path: Path) -> None:
    """What is written for LLaMA-Factory is a format that selkit reads."""
    pool = planted_pool(rows=10)
    write_llama_factory(pool, tmp_path, "chosen")
    assert (
        load_pool(tmp_path / "llama_factory.json").column("response").to_pylist() == pool.column("response").to_pylist()
    )


def test_write_pool_checks_the_place(tmp_path: Path) -> None:
    """An unknown ending, a file that is there, and a folder that is not, are refused; nothing is half-written."""
    pool = planted_pool(rows=3)
    with pytest.raises(UsageError, match=r"\.jsonl or \.parquet"):
        write_pool(pool, tmp_path / "a.csv")
    (tmp_path / "a.jsonl").write_text("mine")
    with pytest.raises(DataError, match="there already"):
        write_pool(pool, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text() == "mine"
    write_pool(pool, tmp_path / "a.jsonl", force=True)
    assert load_pool(tmp_path / "a.jsonl").ids == pool.ids
    with pytest.raises(DataError, match="cannot write"):
        write_pool(pool, tmp_path / "none" / "a.parquet")


class _Boom(Pool):
    def __init__(self, pool: Pool) -> None:
        super().__init__(pool.table)
        self.table: Any = self

    def to_batches(self, max_chunksize: int) -> Any:
        """A batch, then an interruption."""
        yield planted_pool(rows=2).table.to_batches()[0]
        raise KeyboardInterrupt


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    """An interruption in mid-file leaves what was there before, and no other file."""
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_jsonl(_Boom(planted_pool(rows=2)), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
