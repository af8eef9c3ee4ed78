"""Single faults that need no experiment: power cuts, clocks that are wrong, names and files that mean harm."""

from __future__ import annotations

import ast
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import UsageError
from selkit.experiment import parse_spec
from selkit.store import Draft, Key, Store

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_finished_is_on_disk_before_it_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 6: every file and folder of a result is on disk before the renaming, and the renaming right after."""
    steps: list[tuple[str, str]] = []
    sync, rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        steps.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def renamed(source: Any, target: Any, **options: Any) -> None:
        steps.append(("rename", str(target)))
        rename(source, target, **options)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr("os.rename", renamed)

    def make(draft: Draft) -> None:
        (draft.directory / "below").mkdir()
        (draft.directory / "below" / "file").write_text("x")

    directory = store.obtain(Key("a"), make).directory
    place = steps.index(("rename", str(directory)))
    synced = [Path(path) for word, path in steps[:place] if word == "sync"]
    assert [path.name for path in synced if path.name in ("file", "below")] == ["file", "below"]
    # the manifest, under the name that it is written by, and then its folder
    assert synced[-1].name.startswith(directory.name)
    assert "manifest.json" in synced[-2].name
    assert steps[place + 1] == ("sync", str(directory.parent))


@pytest.mark.parametrize("seconds", [-600, 600])
def test_clocks_have_no_say_in_who_works(store: Store, seconds: float) -> None:
    """Scenario 13: who holds a key keeps it, ten minutes ago or in ten minutes: the lock is the kernel's."""
    begun, go, made = threading.Event(), threading.Event(), []

    def make(draft: Draft) -> None:
        made.append(threading.get_ident())
        begun.set()
        assert go.wait(60)

    threads = [threading.Thread(target=store.obtain, args=(Key("a"), make)) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    for path in (store.root / "leases").iterdir():
        changed = path.stat().st_mtime + seconds
        os.utime(path, (changed, changed))
    threads[1].start()
    assert store.gc(set(), unused_for=0).digests == ()
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1


SPEC = {
    "name": "x",
    "pools": "planted",
    "model": "tiny:words",
    "recipe": "quickstart",
    "selectors": ["random"],
    "budgets": [8],
}


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "a\0", "a\x1b[2J", "%2e%2e", "a\u2215b", "A", "x" * 65])
def test_names_that_mean_harm_are_refused(name: str) -> None:
    """The names of experiments and arms are short and plain; no spelling of a way out of a folder is one."""
    with pytest.raises(UsageError, match=r"the spec: name is .*: a name is of 1 to 64 small letters"):
        parse_spec({**SPEC, "name": name})
    with pytest.raises(UsageError, match=r"selectors\.0\.as is .*: a name is of 1 to 64 small letters"):
        parse_spec({**SPEC, "selectors": [{"name": "random", "as": name}]})


@pytest.mark.parametrize("name", ["", "a\0", "a\x1b[2J", "a\nb", "\x9b2J", "x" * 101])
def test_pools_have_names_that_can_be_shown(name: str) -> None:
    """A pool may be called anything that stands on one line and drives no terminal."""
    assert parse_spec({**SPEC, "pools": [{"source": "planted", "name": "Größe 52k / ../v2"}]})
    with pytest.raises(UsageError, match=r"pools\.0\.name is .*: a name is one line"):
        parse_spec({**SPEC, "pools": [{"source": "planted", "name": name}]})


TOLD = re.compile(r"pickle|\bdill\b|joblib|torch\.load|unsafe_load|full_load|trust_remote_code|weights_only")
BANNED = re.compile(r"(c?pickle|cloudpickle|dill|joblib|torch)\.loads?|yaml\.(unsafe|full)_load|\w+\.read_pickle")
TRUSTING = {("trust_remote_code", True), ("allow_pickle", True), ("weights_only", False)}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in those modules that are shipped and say one of the words."""
    places = [ROOT / "selkit", *ROOT.glob("plugins/*/selkit_*"), *ROOT.glob("judges/*/selkit_*"), ROOT / "tasks"]
    for path in (path for place in places for path in place.rglob("*.py") if "tests" not in path.parts):
        if TOLD.search(text := path.read_text("utf-8")):
            tree = ast.parse(text)
            yield from ((str(path), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_code_runs_because_a_file_says_so() -> None:
    """Nothing is unpickled, no YAML makes objects, and the code of model repositories is never trusted."""
    found, asked = [], 0
    for path, call in calls():
        found += [f"{path}:{call.lineno}"] if BANNED.fullmatch(ast.unparse(call.func)) else []
        for word in (word for word in call.keywords if word.arg in {name for name, _ in TRUSTING}):
            safe = isinstance(word.value, ast.Constant) and (word.arg, word.value.value) not in TRUSTING
            found += [] if safe else [f"{path}:{call.lineno}"]
            asked += 1
    assert found == []
    assert asked > 2
