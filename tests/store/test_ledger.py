"""The ledger: what was spent, by stage and key, through kills and damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.store import Draft, Key, LedgerRow, Store, totals
from selkit.store.ledger import append_rows

ROWS = st.builds(
    LedgerRow,
    stage=st.sampled_from("ab"),
    key=st.sampled_from("xyz"),
    resource=st.sampled_from(["dollars", "tokens", "peak_memory_bytes"]),
    quantity=st.integers(0, 10**6).map(float),
    source=st.just("test"),
)


def spend(*rows: tuple[str, float]) -> object:
    """A stage that does nothing but spend."""

    def make(draft: Draft) -> None:
        for resource, quantity in rows:
            draft.spend(resource, quantity, "usage")

    return make


def spent(store: Store, *keys: Key) -> dict[str, float]:
    """What the ledger says was spent, without what the store measured."""
    measured = ("wall_seconds", "cpu_seconds", "peak_memory_bytes")
    return {name: total for name, total in totals(store.ledger(keys or None)).items() if name not in measured}


@given(st.lists(ROWS), st.lists(ROWS))
def test_totals_add_up(one: list[LedgerRow], other: list[LedgerRow]) -> None:
    """Totals of two ledgers together are the sums of their totals, and of peaks the larger."""
    both, a, b = totals([*one, *other]), totals(one), totals(other)
    assert both.keys() == a.keys() | b.keys()
    for name, total in both.items():
        combine = max if name.startswith("peak_") else lambda x, y: x + y
        assert total == combine(a.get(name, 0.0), b.get(name, 0.0))


def test_what_was_spent_is_listed_by_key(store: Store) -> None:
    """Rows stand under their stage and key, beside time and memory; a result that is found costs nothing again."""
    keys = [Key("judgement", parameters={"i": i}) for i in range(2)]
    store.obtain(keys[0], spend(("dollars", 0.5), ("input_tokens", 10), ("dollars", 0.25)))  # type: ignore[arg-type]
    store.obtain(keys[1], spend(("dollars", 1)))  # type: ignore[arg-type]
    store.obtain(keys[1], spend(("dollars", 1)))  # type: ignore[arg-type]
    assert spent(store) == {"dollars": 1.75, "input_tokens": 10}
    assert spent(store, keys[0]) == {"dollars": 0.75, "input_tokens": 10}
    assert {(row.stage, row.resource, row.source) for row in store.ledger([keys[1].digest])} == {
        ("judgement", "wall_seconds", "measured"),
        ("judgement", "cpu_seconds", "measured"),
        ("judgement", "peak_memory_bytes", "measured"),
        ("judgement", "dollars", "usage"),
    }
    assert store.ledger([]) == []


def test_costs_outlive_the_result(store: Store) -> None:
    """What was spent on a result that is gone stays in the ledger."""
    store.obtain(Key("s"), spend(("dollars", 2)))  # type: ignore[arg-type]
    store.discard(Key("s"))
    assert spent(store) == {"dollars": 2}


@pytest.mark.parametrize("damage", [Path.unlink, lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"}\n")])
def test_a_lost_ledger_is_read_from_the_results(store: Store, damage: object) -> None:
    """Scenario 3: manifests hold the same rows; without the ledger, or with a damaged one, nothing is lost or counted
    twice."""
    store.obtain(Key("s"), spend(("dollars", 2)))  # type: ignore[arg-type]
    damage(store.root / "ledger.jsonl")  # type: ignore[operator]
    assert spent(store) == spent(store, Key("s")) == {"dollars": 2}
    store.obtain(Key("t"), spend(("dollars", 3)))  # type: ignore[arg-type]
    assert spent(store) == {"dollars": 5}


def test_an_unfinished_row_does_not_spoil_the_next(store: Store) -> None:
    """Scenario 19: what a kill left of a row is dropped before the next is added, and the manifest makes up for it."""
    for name in "st":
        store.obtain(Key(name), spend(("dollars", 2)))  # type: ignore[arg-type]
        path = store.root / "ledger.jsonl"
        path.write_bytes(path.read_bytes()[:-5])
    store.obtain(Key("u"), spend(("dollars", 2)))  # type: ignore[arg-type]
    assert path.read_bytes().endswith(b"}\n")
    assert {row.key for row in store.ledger()} == {Key(name).digest for name in "stu"}


APPEND = """
import sys, time
from pathlib import Path
from typing import Any
from selkit.store import LedgerRow
from selkit.store.ledger import append_rows
root, worker = Path(sys.argv[1]), sys.argv[2]
while not (root / "go").exists():
    time.sleep(0.001)
for number in range(40):
    append_rows(root, [LedgerRow("s", f"{worker}-{number}", "dollars", 1.0, "x" * 500)])
"""


def test_rows_of_several_processes_do_not_mix(tmp_path: Path, start: Any) -> None:
    """Every row of processes that append at once is there, whole."""
    processes = [start(APPEND, tmp_path, worker) for worker in range(3)]
    (tmp_path / "go").touch()
    assert [process.communicate() for process in processes] == [("", "")] * 3
    assert {row.key for row in Store(tmp_path).ledger()} == {f"{w}-{n}" for w in range(3) for n in range(40)}


def test_calls_of_endpoints_do_not_hide_a_result_that_a_kill_kept_out_of_the_ledger(store: Store) -> None:
    """A key with rows of chat alone still gets the rows of its manifest: its time, and what its maker spent."""
    key = Key("scores", "alpagasus")
    store.obtain(key, spend(("tokens", 7)))  # type: ignore[arg-type]
    (store.root / "ledger.jsonl").unlink()
    append_rows(store.root, [LedgerRow("chat", key.digest, "dollars", 0.5, "list prices")])
    found = totals(store.ledger([key]))
    assert (found["dollars"], found["tokens"]) == (0.5, 7)
    assert found["wall_seconds"] > 0
    assert totals(store.ledger()) == found
