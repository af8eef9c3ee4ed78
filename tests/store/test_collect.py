"""The clean-up: what nobody needs goes, what anybody needs or is at stays."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import DataError
from selkit.store import Draft, Key, Store


def write(draft: Draft) -> None:
    """A result of a thousand bytes."""
    (draft.directory / "x").write_bytes(b"x" * 1000)


def digests(store: Store) -> set[str]:
    """Digests of the finished results."""
    return {artifact.digest for artifact in store.artifacts()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the examples of one property share."""
    return tmp_path_factory.mktemp("stores")


@settings(max_examples=15, deadline=None)
@given(data=st.data(), count=st.integers(1, 5))
def test_exactly_what_is_needed_stays(folder: Path, data: Any, count: int) -> None:
    """Scenario 61: over random graphs of inputs: what is kept, and what that was made of, stays; all else goes."""
    store = Store(folder / str(time.perf_counter_ns()))
    keys: list[Key] = []
    inputs: dict[str, set[str]] = {}
    for number in range(count):
        chosen = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
        named = {f"input{i}": key.digest for i, key in enumerate(chosen)} | {"data": "../not a key"}
        key = Key("s", parameters={"number": number}, inputs=named)
        inputs[key.digest] = {k.digest for k in chosen}
        keys.append(key)
        store.obtain(key, write)
    kept = {key.digest for key in data.draw(st.sets(st.sampled_from(keys)))}
    needed: set[str] = set()
    more = set(kept)
    while more:
        needed |= more
        more = {digest for known in more for digest in inputs[known]} - needed
    would = store.gc(kept, unused_for=0, dry_run=True)
    assert digests(store) == inputs.keys()
    assert store.gc(kept, unused_for=0) == would
    assert digests(store) == needed
    assert set(would.digests) == inputs.keys() - needed
    assert would.bytes >= 1000 * len(would.digests)


def test_what_was_used_lately_stays(store: Store) -> None:
    """Scenario 61: a result that was just made, or just found, may be about to be built upon."""
    old, used = Key("old"), Key("used")
    for key in (old, used):
        manifest = store.obtain(key, write).directory / "manifest.json"
        os.utime(manifest, (time.time() - 7200,) * 2)
    store.obtain(used, write)
    assert store.gc(set()).digests == (old.digest,)
    assert digests(store) == {used.digest}


def test_leftovers_go(store: Store) -> None:
    """Scenario 2: partial work and temporary files of work that nobody is at are removed; strange names stay."""
    for place in ("partial/{}", "tmp/{}.abcd"):
        folder = store.root / place.format(Key("gone").digest)
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"x" * 10)
    (store.root / "tmp" / "strange.name").mkdir()
    assert store.gc(set()).digests == ()
    assert store.gc({Key("gone").digest}, unused_for=0).digests == ()
    collected = store.gc(set(), unused_for=0)
    assert (collected.digests, collected.bytes) == ((Key("gone").digest,), 20)
    assert sorted(p.name for p in store.root.glob("*/*") if p.parent.name != "leases") == ["strange.name"]


WORKER = """
import sys, time
from selkit.store import Key, Store
def make(draft):
    (draft.partial / "rows").write_text("x")
    (draft.directory / "half").write_text("x")
    print("making", flush=True)
    sys.stdin.read()
Store(sys.argv[1]).obtain(Key("busy", inputs={"a": Key("needed").digest}), make)
"""


def test_what_somebody_is_at_stays(store: Store, start: Any) -> None:
    """Scenario 61: while a process works on a key, its work and the inputs it named stay; once it is killed, they
    go."""
    for stage in ("needed", "free"):
        store.obtain(Key(stage), write)
    process = start(WORKER, store.root)
    assert process.stdout.readline() == "making\n"
    assert store.gc(set(), unused_for=0).digests == (Key("free").digest,)
    busy = Key("busy", inputs={"a": Key("needed").digest})
    assert [(store.root / "partial" / busy.digest).exists(), len(list((store.root / "tmp").iterdir()))] == [True, 1]
    process.kill()
    process.wait()
    assert set(store.gc(set(), unused_for=0).digests) == {busy.digest, Key("needed").digest}
    assert digests(store) == set()


def test_inputs_that_cannot_be_known_stop_the_clean_up(store: Store) -> None:
    """Where a kept result is of a newer selkit, its inputs are unknown and nothing is removed."""
    store.obtain(Key("other"), write)
    path = store.obtain(Key("kept"), write).directory / "manifest.json"
    path.write_text('{"schema_version": 99}')
    with pytest.raises(DataError, match="newer selkit"):
        store.gc({Key("kept").digest}, unused_for=0)
    assert store.find(Key("other")) is not None


def test_size_counts_every_file(store: Store) -> None:
    """The size is that of all files, and shrinks with them."""
    assert store.size() == 0
    store.obtain(Key("a"), write)
    before = store.size()
    assert before > 1000
    store.gc(set(), unused_for=0)
    assert store.size() <= before - 1000
