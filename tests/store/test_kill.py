"""kill -9 at every step and at random moments: nothing half-made is seen, nothing finished is made again."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from selkit.store import Key, Store, read_jsonl

RECORDS = 4

WORK = f"""
import json, os, sys, time
from selkit.store import Key, Store, append_jsonl, read_jsonl

def log(word):
    with open(os.path.join(root, "log"), "a") as file:
        file.write(word + "\\n")

def make_a(draft):
    log("make a")
    (draft.directory / "a").write_text("alpha")
    draft.spend("tokens", 1, "test")

def make_b(draft):
    log("make b")
    store.obtain(Key("a"), make_a)
    rows = draft.partial / "rows.jsonl"
    done = read_jsonl(rows) if rows.exists() else []
    with append_jsonl(rows) as writer:
        for number in range(len(done), {RECORDS}):
            log(f"record {{number}}")
            writer.append(number)
            time.sleep(pause)
    (draft.directory / "b").write_text(json.dumps(read_jsonl(rows)))

def work():
    store.obtain(Key("a"), make_a)
    store.obtain(Key("b", inputs={{"a": Key("a").digest}}), make_b)
"""

EVERY_STEP = (
    WORK
    + """
import filelock, signal
STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.utime", "shutil.rmtree"}

def killed_at(step):
    # a hook that Python calls before each of these system calls; it cannot be taken off, but its process dies
    count = 0
    def hook(event, arguments):
        nonlocal count
        if event in STEPS and root in str(arguments[0]):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    work()
    os._exit(0)

pause = 0
first, last = int(sys.argv[2]), int(sys.argv[3])
for step in range(first, last):
    root = os.path.join(sys.argv[1], str(step))
    os.mkdir(root)
    store = Store(os.path.join(root, "store"))
    child = os.fork() or killed_at(step)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    before = [a.manifest["stage"] for a in store.artifacts()]
    log("killed " + " ".join(before))
    work()
    if not killed:
        break
print(step - first, killed)
"""
)


def assert_consistent(root: Path) -> None:
    """The store holds both results, whole, with their costs, and nothing else; the log shows no work done twice."""
    store = Store(root / "store")
    a, b = store.find(Key("a"), deep=True), store.find(Key("b", inputs={"a": Key("a").digest}), deep=True)
    assert a is not None
    assert b is not None
    assert a.file("a").read_text() == "alpha"
    assert json.loads(b.file("b").read_text()) == list(range(RECORDS))
    assert {row.key for row in store.ledger()} == {a.digest, b.digest}
    assert sum(row.quantity for row in store.ledger() if row.resource == "tokens") == 1
    for name in ("tmp", "partial", "corrupt"):
        assert list((root / "store" / name).glob("*")) == []
    assert store.gc({b.digest}, unused_for=0).digests == ()
    assert list((root / "store" / "leases").glob("*.json")) == []


def assert_no_rework(log: list[str]) -> None:
    """After each kill, what was finished then is not made again; a record is begun at most once more per kill."""
    kills = [word for word in log if word.startswith("killed")]
    for position, word in enumerate(log):
        if word.startswith("killed"):
            for stage in word.split()[1:]:
                assert f"make {stage}" not in log[position:]
    for number in range(RECORDS):
        assert log.count(f"record {number}") <= 1 + len(kills)
    assert len([word for word in log if word.startswith("record")]) <= RECORDS + len(kills)


def test_killed_at_every_step(tmp_path: Path, start: Any) -> None:
    """Scenarios 2 and 3: killed before any one of its calls to the file system, the same work ends in the same
    store."""
    out, err = start(EVERY_STEP, tmp_path, 1, 400).communicate()
    steps, killed = out.split() if out else ("", "")
    assert killed == "False", err
    assert int(steps) > 40
    stages = set()
    for root in tmp_path.iterdir():
        log = (root / "log").read_text().splitlines()
        stages.add(next(word for word in log if word.startswith("killed")))
        assert_consistent(root)
        assert_no_rework(log)
    assert {" ".join(sorted(stage.split())) for stage in stages} == {"killed", "a killed", "a b killed"}


RANDOM = (
    WORK
    + """
root, pause = sys.argv[1], 0.02
store = Store(os.path.join(root, "store"))
print("ready", flush=True)
work()
"""
)


def kill_at_random(root: Path, start: Any, kills: int, seed: int) -> None:
    """Runs the work, killed from outside after a random time, ``kills`` times; then once to its end."""
    rng = random.Random(seed)
    root.mkdir()
    store = Store(root / "store")
    for _ in range(kills):
        process = start(RANDOM, root)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.wait()
        with open(root / "log", "a") as log:
            log.write("killed " + " ".join(a.manifest["stage"] for a in store.artifacts()) + "\n")
    _, err = start(RANDOM, root).communicate()
    assert err == ""
    assert_consistent(root)
    assert_no_rework((root / "log").read_text().splitlines())


def test_killed_from_outside(tmp_path: Path, start: Any) -> None:
    """A few kills at random moments."""
    kill_at_random(tmp_path / "0", start, kills=6, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_from_outside_many_times(tmp_path: Path, start: Any, seed: int) -> None:
    """Many kills at random moments."""
    kill_at_random(tmp_path / "0", start, kills=10, seed=seed)


def test_a_torn_record_is_made_again(tmp_path: Path, start: Any) -> None:
    """Scenario 16: what a kill left of half a record is dropped, and the records before it are kept."""
    store = Store(tmp_path / "store")

    def fail(draft: Any) -> None:
        (draft.partial / "rows.jsonl").write_bytes(b"0\n1\n12345")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.obtain(Key("b", inputs={"a": Key("a").digest}), fail)
    start(RANDOM, tmp_path).communicate()
    assert_consistent(tmp_path)
    assert [w for w in (tmp_path / "log").read_text().splitlines() if w.startswith("rec")] == ["record 2", "record 3"]
    assert read_jsonl(tmp_path / "store" / "ledger.jsonl")[0]["resource"] == "wall_seconds"
