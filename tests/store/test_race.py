"""Several processes and threads on one store: each result is made once and shared."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selkit.store import Draft, Key, Store

KEYS = 30

WORKER = f"""
import os, random, sys, time
from selkit.store import Key, Store
root, seed, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def log(word):
    with open(os.path.join(root, "log"), "a") as file:
        file.write(word + "\\n")

def make(draft):
    number = draft.key.parameters["i"]
    log(f"begin {{number}}")
    (draft.directory / "n").write_text(str(number))
    time.sleep(pause)
    log(f"end {{number}}")

store = Store(os.path.join(root, "store"))
numbers = list(range({KEYS}))
random.Random(seed).shuffle(numbers)
while not os.path.exists(os.path.join(root, "go")):
    time.sleep(0.001)
for number in numbers:
    artifact = store.obtain(Key("s", parameters={{"i": number}}), make)
    assert artifact.file("n").read_text() == str(number)
print("done")
"""


def log_of(root: Path) -> Counter[str]:
    """How often each line stands in the log."""
    return Counter((root / "log").read_text().splitlines())


@pytest.mark.parametrize("count", [2, 4])
def test_each_result_is_made_once(tmp_path: Path, start: Any, count: int) -> None:
    """Processes that want the same results at once divide the work and share the results."""
    processes = [start(WORKER, tmp_path, seed, 0.002) for seed in range(count)]
    (tmp_path / "go").touch()
    assert [process.communicate() for process in processes] == [("done\n", "")] * count
    assert log_of(tmp_path) == Counter(f"{word} {n}" for word in ("begin", "end") for n in range(KEYS))
    assert len(Store(tmp_path / "store").ledger()) == 3 * KEYS


def killed_while_racing(root: Path, start: Any, seed: int) -> None:
    """Kills two of four racing processes: at most what they were at is begun again."""
    rng = random.Random(seed)
    processes = [start(WORKER, root, number, 0.01) for number in range(4)]
    (root / "go").touch()
    while not (root / "log").exists():
        time.sleep(0.001)
    for process in processes[:2]:
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
    assert [process.communicate() for process in processes[2:]] == [("done\n", "")] * 2
    log = log_of(root)
    begun = sum(count for word, count in log.items() if word.startswith("begin"))
    assert {f"end {n}" for n in range(KEYS)} <= log.keys()
    assert KEYS <= begun <= KEYS + 2
    store = Store(root / "store")
    assert store.verify() == []
    assert len(list(store.artifacts())) == KEYS
    assert list((root / "store" / "tmp").iterdir()) == []
    assert {row.key for row in store.ledger()} == {a.digest for a in store.artifacts()}


def test_some_of_the_racers_are_killed(tmp_path: Path, start: Any) -> None:
    """What killed processes were at is taken over; the rest is made once."""
    killed_while_racing(tmp_path, start, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 15))
def test_racers_are_killed_at_many_moments(tmp_path: Path, start: Any, seed: int) -> None:
    """As above, at other moments."""
    killed_while_racing(tmp_path, start, seed)


def test_threads_share_results(store: Store) -> None:
    """Threads of one process make each result once, too."""
    made: list[int] = []

    def make(draft: Draft) -> None:
        made.append(draft.key.parameters["i"])
        time.sleep(0.005)

    def work() -> None:
        for number in range(8):
            store.obtain(Key("s", parameters={"i": number}), make)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(8))


HOLDER = """
import sys
import selkit.store.lease
from selkit.store import Key, Store
selkit.store.lease.NOTE_AFTER = 0.3
def make(draft):
    print("making", flush=True)
    sys.stdin.readline()
try:
    Store(sys.argv[1]).obtain(Key("slow", "x"), make)
except KeyboardInterrupt:
    sys.exit(3)
"""


def test_who_waits_is_told_for_whom(store: Store, start: Any) -> None:
    """Scenario 10: after a while of waiting a note says which process makes what; then the result is shared."""
    first = start(HOLDER, store.root)
    assert first.stdout.readline() == "making\n"
    second = start(HOLDER, store.root)
    note = second.stderr.readline()
    assert re.fullmatch(rf"waiting for process {first.pid} on \S+, which is making slow/x\n", note)
    first.communicate("go on\n")
    assert second.communicate() == ("", "")


def test_an_interrupted_process_lets_go(store: Store, start: Any) -> None:
    """Ctrl-C while making leaves nothing behind and frees the lease at once."""
    process = start(HOLDER, store.root)
    assert process.stdout.readline() == "making\n"
    process.send_signal(2)
    assert process.wait(120) == 3
    assert list((store.root / "tmp").iterdir()) == []
    assert list((store.root / "leases").glob("*.json")) == []
    assert store.obtain(Key("slow", "x"), lambda draft: None).names == []


PAUSED = """
import os, signal, sys
from selkit.store import Key, Store
def make(draft):
    print("making", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    (draft.directory / "n").write_text("first")
Store(sys.argv[1]).obtain(Key("slow", "x"), make)
"""


def test_a_paused_process_keeps_its_lease(store: Store, start: Any) -> None:
    """Scenario 12: a process that is stopped and continued still makes the result alone."""
    process = start(PAUSED, store.root)
    assert process.stdout.readline() == "making\n"
    waiter = start(HOLDER, store.root)
    time.sleep(0.3)
    assert waiter.poll() is None
    process.send_signal(18)
    said, noted = waiter.communicate()
    assert said == ""
    # On a slow machine it waits long enough to say whom it waits for, and says nothing else.
    assert noted == "" or re.fullmatch(r"waiting for .*making slow/x\n", noted)
    found = store.find(Key("slow", "x"))
    assert found is not None
    assert found.file("n").read_text() == "first"


FORK = """
import os, sys
from selkit.store import Key, Store
store = Store(sys.argv[1])

def child():
    artifact = store.obtain(Key("s"), None)
    os._exit(0 if artifact.file("n").read_text() == "parent" else 1)

def make(draft):
    global pid
    pid = os.fork() or child()
    (draft.directory / "n").write_text("parent")

store.obtain(Key("s"), make)
print(os.waitpid(pid, 0)[1])
"""


def test_a_forked_child_waits_for_its_parent(store: Store, start: Any) -> None:
    """A child forked while its parent makes a result does not hold the parent's lease; it waits and shares."""
    assert start(FORK, store.root).communicate() == ("0\n", "")
