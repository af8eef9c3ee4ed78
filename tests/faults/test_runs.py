"""Runs of an experiment side by side, on a full disk and on a store that cannot be written to."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from patience import until
from world import KEY, World, load_kill

from selkit.store import Store


def said(folder: Path) -> str:
    """The last line that runs in this folder said."""
    return (folder / "log").read_text().splitlines()[-1]


def makings(folder: Path, stage: str) -> Counter[str]:
    """How often every result of a stage was made, by the ledger."""
    rows = Store(folder / "store").ledger()
    return Counter(row.key for row in rows if row.stage == stage and row.resource == "wall_seconds")


def test_two_processes_make_every_stage_once(light: World) -> None:
    """Scenario 10: the same work twice at once is done once: no request, and no entry in the ledger, comes twice."""
    folder = light.new()
    light.answered.clear()
    pids = [light.zygote.start(folder) for _ in range(2)]
    assert [light.zygote.wait(pid) for pid in pids] == [0, 0]
    assert light.report(folder) == light.wanted
    assert set(light.answered.values()) == {1}
    assert all(set(makings(folder, stage).values()) == {1} for stage in ("numbers", "answers", "total"))


def test_a_run_that_stands_still_keeps_what_it_is_at(light: World) -> None:
    """Scenario 12: a second run does not take its work, however long it stands; when it goes on, all is made once."""
    folder = light.new()
    light.answered.clear()
    light.open.clear()
    first = light.zygote.start(folder)
    until(lambda: light.answered)  # it asks for what it has a lease for
    os.kill(first, signal.SIGSTOP)
    try:
        light.open.set()
        second = light.zygote.start(folder)
        time.sleep(2 * light.seconds)
        assert [artifact.manifest["stage"] for artifact in Store(folder / "store").artifacts()] == ["numbers"]
    finally:
        os.kill(first, signal.SIGCONT)
    assert [light.zygote.wait(pid) for pid in (first, second)] == [0, 0]
    assert light.report(folder) == light.wanted
    assert set(light.answered.values()) == {1}
    assert all(set(makings(folder, stage).values()) == {1} for stage in ("numbers", "answers", "total"))


def test_a_full_disk_loses_nothing_that_was_finished(light: World) -> None:
    """Scenario 14: one sentence with the place and exit code 4; with room again the rest is done, and that alone."""
    folder = light.new()
    assert light.run(folder, limit=300) == 4
    assert said(folder).startswith("no room to write ")
    assert light.run(folder) == 0
    assert light.report(folder) == light.wanted


@pytest.mark.slow
def test_two_runs_of_one_experiment_divide_the_work(real: World) -> None:
    """Scenario 10: both end in the report of one, and nothing was trained or answered twice."""
    folder = real.new()
    pids = [real.zygote.start(folder, output=name) for name in ("out", "other")]
    assert [real.zygote.wait(pid) for pid in pids] == [0, 0], (folder / "log").read_text()
    load_kill().check(folder, {}, real.wanted)
    shutil.rmtree(folder / "out")
    (folder / "other").rename(folder / "out")
    assert real.report(folder) == real.wanted
    assert set(makings(folder, "training").values()) == {1}


@pytest.mark.slow
def test_two_experiments_share_the_cells_that_they_have_in_common(real: World) -> None:
    """Scenario 11: at the same time on one store; a cell of both is trained once, and each has its own report."""
    folder = real.new()
    one = real.zygote.start(folder)
    other = real.zygote.start(folder, output="other", name="second", selectors=["random", "longest"])
    assert [real.zygote.wait(pid) for pid in (one, other)] == [0, 0], (folder / "log").read_text()
    assert real.report(folder) == real.wanted
    trained = makings(folder, "training")
    # the anchor and two runs of random are in both; oracle and strict-random in one, longest in the other
    assert (len(trained), set(trained.values())) == (6, {1})


@pytest.mark.slow
def test_a_store_that_cannot_be_written_to_still_reports(real: World) -> None:
    """Scenario 17: what is finished is read; anything new is refused in one sentence before it begins."""
    folder = real.new()
    shutil.copytree(real.calm / "store", folder / "store")
    for name in ("tmp", "leases"):  # a file in the place of a folder keeps even root from writing
        shutil.rmtree(folder / "store" / name)
        (folder / "store" / name).touch()
    assert real.run(folder) == 0, (folder / "log").read_text()
    assert real.report(folder) == real.wanted
    before = len(list(Store(folder / "store").artifacts()))
    assert real.run(folder, output="new", name="new") == 4
    assert "cannot be written to" in said(folder)
    assert len(list(Store(folder / "store").artifacts())) == before


@pytest.mark.slow
def test_nothing_that_an_experiment_leaves_holds_its_key(real: World) -> None:
    """Every request went out with the key; no file of the store, the report or the log has it."""
    assert {call.headers.get("authorization") for call in real.server.calls} == {f"Bearer {KEY}"}
    files = [path for path in real.folder.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_nothing_that_an_experiment_leaves_is_a_pickle(real: World) -> None:
    """The store has JSON, Parquet and the database of answers; a pickle starts with its protocol, a torch file is a
    zip."""
    files = [path for path in real.calm.rglob("*") if path.is_file()]
    endings = {path.suffix for path in files}
    assert {".json", ".jsonl", ".parquet"} <= endings
    assert not endings & {".pkl", ".pickle", ".pt", ".pth", ".bin"}
    assert [path for path in files if path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")] == []
