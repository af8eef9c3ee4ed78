"""Real pools are read whole, and the numbers are those of their publishers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selkit.pools import describe, load_pool, write_jsonl

SIZES = {"alpaca-18k": 17_961, "dolly-3k": 2_996, "lima-1k": 1_000, "alpaca-1k-longest": 1_000}


@pytest.mark.parametrize("name", SIZES)
def test_real_pools(name: str, shared_data: Path, tmp_path: Path) -> None:
    """Every row is there or dropped with a reason, and reading what was written gives the same pool."""
    path = shared_data / "pools" / f"{name}.jsonl"
    pool = load_pool(path)
    with path.open("rb") as file:
        lines = sum(1 for _ in file)
    assert len(pool) == SIZES[name]
    assert len(pool) + sum(pool.dropped_counts.values()) == lines
    assert len(set(pool.ids)) == len(pool)
    write_jsonl(pool, tmp_path / "again.jsonl")
    assert load_pool(tmp_path / "again.jsonl").fingerprint == pool.fingerprint


def test_alpaca_keeps_ids_membership_and_nothing_empty(shared_data: Path) -> None:
    """Own ids, the list of subsets and the scores are kept; the nine rows without a response are named."""
    pool = load_pool(shared_data / "pools" / "alpaca-18k.jsonl")
    assert set(pool.dropped_counts) == {"the response is empty"}
    assert "alpaca18k-00618" in {row.id for row in pool.dropped}
    members = pool.column("member").to_pylist()
    assert sum("random-9k" in of for of in members) == 9_229 - 4
    assert pool.column("car_score").null_count > 0
    assert pool.ids[0] == "alpaca18k-00000"


def test_order_of_a_real_pool_changes_no_id(shared_data: Path, tmp_path: Path) -> None:
    """A reversed file gives the same ids to the same texts; only its two duplicates swap numbers."""
    lines = (shared_data / "pools" / "dolly-3k.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "dolly-3k.jsonl").write_bytes(b"".join(reversed(lines)))
    pool, turned = (load_pool(folder / "dolly-3k.jsonl") for folder in (shared_data / "pools", tmp_path))
    assert set(turned.ids) == set(pool.ids)
    assert describe(pool).duplicates == sum("-" in one for one in pool.ids) == 2
    ids = {row.question + row.response: row.id[:16] for row in pool}
    assert all(ids[row.question + row.response] == row.id[:16] for row in turned)


def test_conversations_of_the_longest_subset(shared_data: Path) -> None:
    """The published conversations keep their ids; the first one is what its file says."""
    path = shared_data / "pools" / "alpaca-1k-longest.jsonl"
    with path.open() as file:
        first = json.loads(next(file))
    example = next(iter(load_pool(path)))
    said = [turn["value"] for turn in first["conversations"]]
    assert (example.id, [example.instruction, example.response]) == (first["id"], said)


def test_expert_revisions_by_mapping(shared_data: Path) -> None:
    """CoachLM's file has columns of its own; a mapping reads either side of it."""
    path = str(shared_data / "pools" / "expert-revised.jsonl")
    sides = {
        side: load_pool(
            {"path": path, "columns": {part: f"{side} {part.title()}" for part in ("instruction", "input", "response")}}
        )
        for side in ("Raw", "Revised")
    }
    assert {side: len(pool) + sum(pool.dropped_counts.values()) for side, pool in sides.items()} == {
        "Raw": 2_301,
        "Revised": 2_301,
    }
    first = next(iter(sides["Revised"]))
    assert first.extra["Raw Instruction"]
    assert "Revised Response" not in first.extra


def test_csv_with_a_mapping(shared_data: Path) -> None:
    """The IQS split is CSV with texts over many lines; its score is a number."""
    pool = load_pool(
        {"path": str(shared_data / "pools" / "iqs" / "test.csv"), "columns": {"instruction": "src", "response": "src"}}
    )
    assert len(pool) == 508
    assert set(pool.column("score").to_pylist()) == {0, 1}


@pytest.mark.parametrize(("side", "count"), [("response1", 4), ("response2", 2)])
def test_boolean_responses_of_pandalm_are_not_made_into_text(side: str, count: int, shared_data: Path) -> None:
    """PandaLM's file has booleans where responses should be; those rows are dropped with their lines."""
    path = shared_data / "judges" / "pandalm-testset.jsonl"
    with path.open() as file:
        booleans = [number for number, line in enumerate(file, 1) if isinstance(json.loads(line)[side], bool)]
    pool = load_pool({"path": str(path), "columns": {"response": side}})
    assert len(booleans) == count
    assert [row.line for row in pool.dropped if row.reason == "the response is a boolean, not text"] == booleans
