"""What a stage took: its own time and memory, not those of the stages it needed."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from selkit.store import Draft, Key, Store, measured_since, totals


def burn(seconds: float) -> None:
    """Uses the processor for a while."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_nested_stages_answer_for_themselves(store: Store) -> None:
    """Time that a stage waits for another is the other's; the sum is what passed."""

    def inner(draft: Draft) -> None:
        burn(0.2)
        time.sleep(0.2)

    def middle(draft: Draft) -> None:
        store.obtain(Key("inner"), inner)
        time.sleep(0.05)

    def outer(draft: Draft) -> None:
        store.obtain(Key("middle"), middle)
        store.obtain(Key("inner"), inner)
        time.sleep(0.05)

    start = time.perf_counter()
    store.obtain(Key("outer"), outer)
    passed = time.perf_counter() - start
    took = {a.manifest["stage"]: a.manifest["measured"] for a in store.artifacts()}
    assert took["inner"]["wall_seconds"] >= 0.4
    assert took["inner"]["cpu_seconds"] >= 0.19
    for stage in ("middle", "outer"):
        assert 0.05 <= took[stage]["wall_seconds"] < took["inner"]["wall_seconds"]
        assert took[stage]["cpu_seconds"] < took["inner"]["cpu_seconds"]
    assert sum(m["wall_seconds"] for m in took.values()) <= passed


MEMORY = """
import sys
from selkit.store import Key, Store
store = Store(sys.argv[1])
for number, size in enumerate((0, 80_000_000, 0)):
    artifact = store.obtain(Key("s", parameters={"n": number}), lambda draft: len(b"x" * size))
    measured = artifact.manifest["measured"]
    print(measured["peak_memory_before_bytes"], measured["peak_memory_bytes"])
"""


def test_peak_memory_tells_which_stage_raised_it(store: Store, start: Any) -> None:
    """A stage that holds 80 MB raises the peak by about that; the one after it starts from there and does not."""
    out, err = start(MEMORY, store.root).communicate()
    (_, first), (before, second), (start_of_last, last) = [map(int, line.split()) for line in out.splitlines()]
    assert 70e6 < second - before < 90e6, err
    assert first <= before
    assert start_of_last == second
    assert last - second < 10e6


def test_a_command_measures_itself() -> None:
    """The time since a start, with the machine, Python and selkit."""
    measured = measured_since(time.time() - 5)
    assert 5 <= measured["wall_seconds"] < 15
    assert measured["cpu_seconds"] > 0
    assert measured["machine"]["cores"] >= 1
    assert measured["started"].endswith("Z")


def test_a_stage_that_uses_gpus_says_for_how_long_it_held_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall seconds times the GPUs that torch has used, and the most memory held there; none of it without a GPU."""
    held = {0: 5 * 10**9, 1: 0, 2: 10**9}
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: len(held),
        max_memory_allocated=held.__getitem__,
        get_device_name=lambda number: f"GPU {number}",
    )
    plain = store.obtain(Key("plain"), lambda draft: None)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    artifact = store.obtain(Key("stage"), lambda draft: time.sleep(0.05))
    measured = artifact.manifest["measured"]
    assert measured["gpus"] == ["GPU 0", "GPU 2"]
    assert measured["gpu_seconds"] == pytest.approx(2 * measured["wall_seconds"], abs=1e-4)
    rows = totals(artifact.ledger)
    assert (rows["gpu_seconds"], rows["peak_gpu_memory_bytes"]) == (measured["gpu_seconds"], 6 * 10**9)
    assert not {"gpus", "gpu_seconds"} & plain.manifest["measured"].keys()
