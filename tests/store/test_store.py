"""The store: each result is made once, whole or not at all, and told from a damaged one."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import ContractViolation, DataError, SelkitError
from selkit.store import Artifact, Draft, Key, Store, append_jsonl, read_jsonl
from selkit.store.manifest import checksum, manifest_bytes

KEY = Key("scores", "ifd", {"ratio": "loss"}, {"selkit-ifd": "1"}, {"pool": "f" * 16}, {"threads": 1}, schema=2)


def write(draft: Draft) -> None:
    """A result of two files, one below a folder."""
    (draft.directory / "sub").mkdir()
    (draft.directory / "sub" / "b.txt").write_text("bb")
    (draft.directory / "a.txt").write_text("a")
    draft.record(rows=3, reasons={"nan": 1})
    draft.record(rows=4)
    draft.spend("dollars", 0.25, "price list")


def never(draft: Draft) -> None:
    """Stands for work that must not be done again."""
    pytest.fail("made again")


def leftovers(store: Store) -> list[str]:
    """What lies in the temporary and partial folders."""
    return [p.name for name in ("tmp", "partial") for p in (store.root / name).glob("*")]


def test_a_result_is_made_once(store: Store) -> None:
    """The second time the stored result comes back, from this store or from another on the same folder."""
    assert store.find(KEY) is None
    made = store.obtain(KEY, write)
    assert store.obtain(KEY, never).manifest == made.manifest
    found = Store(store.root).find(KEY)
    assert found is not None
    assert (found.directory, found.manifest, found.key) == (made.directory, made.manifest, KEY)
    assert leftovers(store) == []


def test_the_manifest_says_what_was_made(store: Store) -> None:
    """The manifest holds the key's parts, the facts, every file with size and digest, and what was measured."""
    manifest = json.loads((store.obtain(KEY, write).directory / "manifest.json").read_text("utf-8"))
    measured = manifest.pop("measured")
    assert manifest == {
        "schema_version": 1,
        "stage": "scores",
        "stage_schema": 2,
        "key": KEY.digest,
        "component": "ifd",
        "parameters": {"ratio": "loss"},
        "versions": {"selkit-ifd": "1"},
        "inputs": {"pool": "f" * 16},
        "conditions": {"threads": 1},
        "facts": {"rows": 4, "reasons": {"nan": 1}},
        "files": [
            {"name": "a.txt", "size": 1, "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
            {
                "name": "sub/b.txt",
                "size": 2,
                "sha256": "3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf",
            },
        ],
    }
    assert measured["spent"] == [{"resource": "dollars", "quantity": 0.25, "source": "price list"}]
    assert {"started", "wall_seconds", "cpu_seconds", "peak_memory_bytes", "machine", "python"} <= measured.keys()


def test_two_makings_differ_in_what_was_measured_alone(tmp_path: Path) -> None:
    """The same work in two stores gives the same bytes outside 'measured'."""
    manifests = [dict(Store(tmp_path / name).obtain(KEY, write).manifest) for name in "ab"]
    measured = [manifest.pop("measured") for manifest in manifests]
    assert json.dumps(manifests[0]) == json.dumps(manifests[1])
    assert measured[0] != measured[1]


def test_files_are_found_by_name(store: Store) -> None:
    """A file of the result has a path; any other name is refused, also one that leads elsewhere."""
    artifact = store.obtain(KEY, write)
    assert artifact.file("sub/b.txt").read_text() == "bb"
    assert artifact.facts["rows"] == 4
    for name in ("c.txt", "../../x", "manifest.json"):
        with pytest.raises(SelkitError, match="has no file"):
            artifact.file(name)


def test_an_error_leaves_only_the_partial_work(store: Store) -> None:
    """When making fails nothing is visible, and the next attempt finds what was put aside to be resumed."""

    def fail(draft: Draft) -> None:
        (draft.directory / "half").write_text("x")
        with append_jsonl(draft.partial / "rows.jsonl") as rows:
            rows.append(1)
        raise RuntimeError("boom")

    def resume(draft: Draft) -> None:
        assert list(draft.directory.iterdir()) == []
        assert read_jsonl(draft.partial / "rows.jsonl") == [1]
        (draft.directory / "whole").write_text("y")

    with pytest.raises(RuntimeError, match="boom"):
        store.obtain(KEY, fail)
    assert store.find(KEY) is None
    assert leftovers(store) == [KEY.digest]
    assert store.obtain(KEY, resume).manifest["measured"]["resumed"] is True
    assert leftovers(store) == []


def test_a_stage_may_need_other_stages(store: Store) -> None:
    """Making one result may obtain others, and those obtain further ones."""

    def make(depth: int) -> Any:
        def inner(draft: Draft) -> None:
            below = store.obtain(Key("s", parameters={"depth": depth - 1}), make(depth - 1)) if depth else None
            (draft.directory / "n").write_text(str(depth + (int(below.file("n").read_text()) if below else 0)))

        return inner

    assert store.obtain(Key("s", parameters={"depth": 4}), make(4)).file("n").read_text() == "10"


def test_a_stage_that_needs_itself_is_refused(store: Store) -> None:
    """A result that is needed for its own making is an error, not an endless wait."""
    with pytest.raises(SelkitError, match="scores/ifd needs its own result"):
        store.obtain(KEY, lambda draft: store.obtain(KEY, write) and None)
    assert store.obtain(KEY, write).names == ["a.txt", "sub/b.txt"]


@pytest.mark.parametrize("kind", ["link", "folder link", "manifest"])
def test_results_are_plain_files(store: Store, tmp_path: Path, kind: str) -> None:
    """A link could change or vanish, and the manifest is the store's: both are refused and nothing is stored."""
    (tmp_path / "data").mkdir()

    def make(draft: Draft) -> None:
        if kind == "manifest":
            (draft.directory / "manifest.json").write_text("{}")
        else:
            (draft.directory / "x").symlink_to(tmp_path / "data" if kind == "folder link" else __file__)

    with pytest.raises(ContractViolation):
        store.obtain(KEY, make)
    assert store.find(KEY) is None
    assert leftovers(store) == []


def cut(path: Path) -> None:
    """Loses the end of a file."""
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    """Flips one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit_facts(path: Path) -> None:
    """Changes a fact in a manifest that stays valid otherwise."""
    manifest = json.loads(path.read_text())
    manifest["facts"]["rows"] = 5
    path.write_text(json.dumps(manifest))


DAMAGES = [
    ("a.txt", cut, False, "a.txt has 0 bytes instead of 1"),
    ("a.txt", flip, True, "a.txt was changed"),
    ("sub/b.txt", Path.unlink, False, "sub/b.txt is missing"),
    ("sub", shutil.rmtree, False, "sub/b.txt is missing"),
    ("manifest.json", cut, False, ""),
    ("manifest.json", flip, False, "manifest.json"),
    ("manifest.json", edit_facts, False, "manifest.json was changed"),
    ("manifest.json", Path.unlink, False, "manifest.json is missing"),
    ("manifest.json", lambda path: path.write_text("[]"), False, "manifest.json is not valid"),
    ("manifest.json", lambda path: path.write_bytes(b"\0" * 300), False, "manifest.json is not valid"),
    ("manifest.json", lambda path: path.write_text('{"schema_version": 1}'), False, "manifest.json"),
]


@pytest.mark.parametrize(
    ("name", "damage", "deep", "words"), DAMAGES, ids=[f"{d[0]}-{i}" for i, d in enumerate(DAMAGES)]
)
def test_a_damaged_result_is_put_aside_and_made_again(
    store: Store, capsys: pytest.CaptureFixture[str], name: str, damage: Any, deep: bool, words: str
) -> None:
    """Scenario 18: what was cut off, changed or lost is moved away with a note, and the result is made anew."""
    directory = store.obtain(KEY, write).directory
    damage(directory / name)
    assert store.find(KEY, deep=deep) is None
    assert re.search(rf"is damaged \({re.escape(words)}.*it was moved to .*corrupt", capsys.readouterr().err)
    assert [p.name[:64] for p in (store.root / "corrupt").iterdir()] == [KEY.digest]
    again = store.obtain(KEY, write)
    assert (again.file("a.txt").read_text(), again.file("sub/b.txt").read_text()) == ("a", "bb")


def test_verify_names_the_damaged(store: Store) -> None:
    """Scenario 18: a flipped bit that keeps the size is found when asked for, and only that result goes."""
    artifacts = [store.obtain(Key("s", parameters={"i": i}), write) for i in range(3)]
    flip(artifacts[1].file("a.txt"))
    assert store.verify(deep=False) == []
    assert store.verify() == [artifacts[1].digest]
    assert {a.digest for a in store.artifacts()} == {artifacts[0].digest, artifacts[2].digest}


def test_a_newer_layout_is_left_alone(store: Store) -> None:
    """Scenario 20: a result of a newer selkit is refused with the versions, by finding and by making, and stays as it
    is."""
    path = store.obtain(KEY, write).directory / "manifest.json"
    newer = json.dumps({**json.loads(path.read_text()), "schema_version": 2, "parameters": "in another form"})
    path.write_text(newer)
    for use in (lambda: store.find(KEY), lambda: store.obtain(KEY, never), store.verify):
        with pytest.raises(DataError, match=r"newer selkit \(layout 2, this one knows 1\): upgrade"):
            use()
    assert path.read_text() == newer


def test_the_first_of_two_results_is_kept(store: Store) -> None:
    """Scenario 12: where another machine finished the same key meanwhile, its result is kept and this one vanishes."""
    other = Store(store.root.with_name("other"))
    other.obtain(KEY, write)

    def slow(draft: Draft) -> None:
        (draft.directory / "mine").write_text("late")
        shutil.copytree(other.root / "objects", store.root / "objects", dirs_exist_ok=True)

    assert store.obtain(KEY, slow).names == ["a.txt", "sub/b.txt"]
    assert leftovers(store) == []


def test_a_damaged_first_result_gives_way(store: Store) -> None:
    """Where what the other machine left is damaged, this result takes its place."""

    def slow(draft: Draft) -> None:
        write(draft)
        broken = store.root / "objects" / KEY.digest[:2] / KEY.digest
        broken.mkdir(parents=True)
        (broken / "half").write_text("x")

    assert store.obtain(KEY, slow).file("a.txt").read_text() == "a"
    assert store.verify() == []
    assert len(list((store.root / "corrupt").iterdir())) == 1


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_store_that_cannot_be_made(tmp_path: Path, below: str) -> None:
    """A place where no folder can be is refused before any work starts; looking there finds nothing."""
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / below)
    assert store.find(KEY) is None
    assert (list(store.artifacts()), store.ledger(), store.verify()) == ([], [], [])
    with pytest.raises(DataError, match=r"store .* cannot be written to .*--store or SELKIT_STORE"):
        store.obtain(KEY, never)
    with pytest.raises(DataError):
        store.check_writable()


def test_the_environment_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$SELKIT_STORE, else the user's cache; making the object makes no folder."""
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "here"))
    assert Store().root == tmp_path / "here"
    monkeypatch.delenv("SELKIT_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store().root == tmp_path / "selkit"
    assert list(tmp_path.iterdir()) == []


def test_discarding(store: Store) -> None:
    """A discarded result is gone and can be made again."""
    store.obtain(KEY, write)
    assert store.discard(KEY) is True
    assert store.find(KEY) is None
    assert store.discard(KEY) is False
    assert leftovers(store) == []
    store.obtain(KEY, write)


def test_what_somebody_uses_is_not_discarded(store: Store) -> None:
    """Neither by hand nor by a clean-up; he who used it last can remove it, and the same work waits for its turn."""
    store.obtain(KEY, write)
    used, done, turns = threading.Event(), threading.Event(), []

    def use() -> None:
        with store.using(KEY, "a cell"):
            turns.append("first")
            used.set()
            done.wait(60)
            turns.append("first is done")
        used.wait()

    def wait_for_it() -> None:
        with store.using(KEY, "a cell"):
            turns.append("second")

    user, other = threading.Thread(target=use), threading.Thread(target=wait_for_it)
    user.start()
    used.wait(60)
    other.start()
    with store.using(KEY, "another cell"):
        assert store.discard(KEY) is False
        assert store.gc(set(), unused_for=0).digests == ()
    assert store.find(KEY) is not None
    done.set()
    user.join()
    other.join()
    assert turns == ["first", "first is done", "second"]
    with store.using(KEY, "a cell"):
        assert store.discard(KEY) is True
    assert leftovers(store) == []


def test_discarding_takes_along_what_a_kill_left(store: Store) -> None:
    """Scenario 2: a kill between the renaming and the removal leaves a folder, which the next call removes."""
    left = store.obtain(KEY, write).directory.rename(store.layout.temporary / f"{KEY.digest}.0123abcd")
    assert store.discard(KEY) is True
    assert not left.exists()
    assert leftovers(store) == []


def test_digests_and_names_cannot_lead_out_of_the_store(store: Store) -> None:
    """Paths are made of digests alone."""
    for digest in ("../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(SelkitError, match="not the digest"):
            store.get(digest)


def test_artifacts_by_stage(store: Store) -> None:
    """Finished results can be listed, those of one stage too, and stray files do not matter."""
    keys = [Key(stage, parameters={"i": i}) for stage in ("a", "b") for i in range(3)]
    for key in keys:
        store.obtain(key, write)
    (store.root / "objects" / "stray").write_text("x")
    assert sorted(a.digest for a in store.artifacts()) == sorted(key.digest for key in keys)
    assert {a.key for a in store.artifacts(stage="b")} == set(keys[3:])


def test_facts_must_be_json(store: Store) -> None:
    """A fact that cannot be stored is refused at once, by name."""
    with pytest.raises(SelkitError, match="mean"):
        store.obtain(KEY, lambda draft: draft.record(mean=float("nan")))


def test_odd_text_survives(store: Store) -> None:
    """Scenario 59: lone surrogates in parameters and facts come back as they were."""
    odd = "\ud800 \x00 \u2028 ü"
    key = Key("s", parameters={odd: odd})
    store.obtain(key, lambda draft: draft.record(text=odd))
    found = store.find(key)
    assert isinstance(found, Artifact)
    assert found.facts == {"text": odd}
    assert found.key == key


READ_ONLY = """
import os, sys
import filelock
from selkit.api.errors import DataError
from selkit.store import Key, Store
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
store = Store(sys.argv[1])
print(store.find(Key("a")).facts, store.obtain(Key("a"), None).digest == Key("a").digest, len(store.ledger()))
print(store.find(Key("b")), store.find(Key("c")))
try:
    store.obtain(Key("c"), None)
except DataError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may read; pytest's own are closed to all but one."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    set_modes(folder, 0o755, 0o644)
    shutil.rmtree(folder)


def set_modes(folder: Path, folders: int, files: int) -> None:
    """Sets the mode of a folder, and of all folders and files below it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(folders if path.is_dir() else files)


def test_a_read_only_store_can_be_read(open_folder: Path, start: Any) -> None:
    """Scenario 17: without the right to write, finished results are found, damaged ones are not, and making is refused
    at once."""
    store = Store(open_folder)
    store.obtain(Key("a"), lambda draft: draft.record(n=1))
    (store.obtain(Key("b"), write).directory / "a.txt").unlink()
    set_modes(open_folder, 0o555, 0o444)
    out, err = start(READ_ONLY, open_folder).communicate()
    lines = out.splitlines()
    assert lines[:2] == ["{'n': 1} True 7", "None None"], err
    assert re.search(r"cannot be written to \(Permission denied\)", lines[2])


@pytest.mark.parametrize("name", ["../../../outside.txt", "/etc/hostname", "a/../../b", "a\\b"])
def test_a_foreign_manifest_cannot_lead_out_of_the_store(store: Store, name: str) -> None:
    """A result whose manifest names a file elsewhere counts as damaged, whatever its checksum says."""
    key = Key("scores")
    artifact = store.obtain(key, lambda draft: None)
    manifest = dict(artifact.manifest)
    manifest["files"] = [{"name": name, "size": 0, "sha256": ""}]
    manifest["measured"] = {**manifest["measured"], "manifest_sha256": checksum(manifest)}
    (artifact.directory / "manifest.json").write_bytes(manifest_bytes(manifest))
    assert store.find(key) is None
