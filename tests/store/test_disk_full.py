"""A full disk, a used-up quota, a file size limit: one sentence with the bytes, and nothing half-made."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.store import Key, Store, read_jsonl

MAKE = """
import resource, sys
from selkit.api.errors import DataError
from selkit.store import Key, Store, append_jsonl
root, limit, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = Store(root)
store.obtain(Key("before"), lambda draft: None)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

def make(draft):
    with append_jsonl(draft.partial / "rows.jsonl") as rows:
        rows.append(1)
    with open(draft.directory / "big", "wb") as file:
        for _ in range(size // 1000):
            file.write(b"x" * 1000)

try:
    store.obtain(Key("big"), make)
    print("made")
except DataError as error:
    print(error)
"""


def assert_nothing_half_made(store: Store) -> None:
    """The failed result cannot be seen, its temporary files are gone, its resumable work and other results stay."""
    assert store.find(Key("big")) is None
    assert store.find(Key("before")) is not None
    assert list((store.root / "tmp").iterdir()) == []
    assert read_jsonl(store.root / "partial" / Key("big").digest / "rows.jsonl") == [1]


def test_a_file_that_may_not_grow(store: Store, start: Any) -> None:
    """Scenario 16: EFBIG: the sentence names the bytes that were needed and those free; with room, the same work ends
    well."""
    out, err = start(MAKE, store.root, 5000, 20_000).communicate()
    assert re.fullmatch(
        r"no room to write \S+ \(file too large; more than 5\.0 kB needed, [\d.]+ .?B free\): free some space.*\n", out
    ), err
    assert_nothing_half_made(store)
    assert start(MAKE, store.root, 0, 20_000).communicate()[0] == "made\n"
    assert Store(store.root).verify() == []


def test_a_manifest_that_does_not_fit(store: Store, start: Any) -> None:
    """Where the files fit and the manifest does not, nothing is seen of the result either."""
    out, err = start(MAKE, store.root, 600, 0).communicate()
    assert "no room to write" in out, err
    assert_nothing_half_made(store)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, start: Any) -> None:
    """Scenario 14: ENOSPC: as above, on a disk that is really full; other results stay readable."""
    store = Store(small_disk / "store")
    out, err = start(MAKE, store.root, 0, 400_000).communicate()
    assert re.search(r"no space left on device; more than \d+\.\d kB needed, .* free\)", out), err
    assert_nothing_half_made(store)
    assert start(MAKE, store.root, 0, 20_000).communicate()[0] == "made\n"


def test_no_room_at_all(small_disk: Path, start: Any) -> None:
    """Scenario 14: on a disk without a single free byte the refusal comes before the work."""
    store = Store(small_disk / "store")
    store.obtain(Key("before"), lambda draft: None)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(b"x" * 300_000)
    out, err = start(MAKE, store.root, 0, 0).communicate()
    assert "no room to write" in out, err
    assert store.find(Key("before")) is not None


def test_a_ledger_that_may_not_grow(store: Store, start: Any) -> None:
    """A finished result counts although its costs did not fit into the ledger; they are read from its manifest."""
    for number in range(20):
        store.obtain(Key("s", parameters={"n": number}), lambda draft: None)
    limit = (store.root / "ledger.jsonl").stat().st_size
    assert start(MAKE, store.root, limit, 2000).communicate() == ("made\n", "")
    assert Key("big").digest in {row.key for row in store.ledger()}
    assert start(MAKE, store.root, 0, 0).communicate() == ("made\n", "")
    assert len({row.key for row in store.ledger()}) == 22
