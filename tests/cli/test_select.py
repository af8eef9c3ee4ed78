"""`selkit select` as people run it: files, exit codes, one sentence on stderr, and a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from selkit.__main__ import main

SCORER = '''
"""A scorer that is slow on purpose and writes down every row it scores."""
import os, time
from dataclasses import dataclass
from selkit.api import Scorer, hookimpl


@dataclass
class Slow(Scorer):
    """Length of the response, two milliseconds a row."""

    name = "slow"

    def score(self, pool, ctx):
        with open(os.environ["SLOW_LOG"], "a") as log:
            for example in ctx.track(pool):
                time.sleep(0.002)
                log.write(example.id + "\\n")
                log.flush()
                yield len(example.response)


@hookimpl
def selkit_selectors():
    return [Slow]
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a pool of 300 rows and an installed plugin package `slow`."""
    rows = [{"id": f"r{i:03d}", "instruction": f"do {i}", "output": "x" * (i * 7 % 101 + 1)} for i in range(300)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    site = tmp_path / "site"
    (site / "slow_plugin-1.0.dist-info").mkdir(parents=True)
    (site / "slow_plugin.py").write_text(SCORER, encoding="utf-8")
    metadata = site / "slow_plugin-1.0.dist-info"
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-plugin\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[selkit]\nslow = slow_plugin\n", encoding="utf-8")
    return tmp_path


class Done(NamedTuple):
    """What a command returned, and what it wrote where."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def selkit(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`selkit select ARGUMENTS` in ``place``, in this process."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("SELKIT_STORE", str(place / "store"))

    def run(*arguments: str) -> Done:
        code = main(["select", *arguments])
        return Done(code, *capsys.readouterr())

    return run


def environment(place: Path, store: str = "store") -> dict[str, str]:
    """The environment of a command that runs in ``place``."""
    return os.environ | {
        "PYTHONPATH": str(place / "site"),
        "SELKIT_STORE": str(place / store),
        "SLOW_LOG": str(place / "scored.log"),
    }


def process(place: Path, *arguments: str, store: str = "store") -> subprocess.CompletedProcess[str]:
    """Runs `selkit select ARGUMENTS` in ``place``, in a process of its own."""
    command = [sys.executable, "-m", "selkit", "select", *arguments]
    return subprocess.run(
        command, cwd=place, env=environment(place, store), capture_output=True, text=True, check=False, timeout=300
    )


def test_writes_a_selection_and_its_manifest(place: Path, selkit: Command) -> None:
    """Rows in rank order with their scores; the manifest says how to do it again and holds no key."""
    done = selkit("pool.jsonl", "-s", "longest", "-p", "unit=characters", "-b", "5%", "-o", "out")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (place / "out/selection.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 15
    assert [(-row["score"], row["id"]) for row in rows] == sorted((-row["score"], row["id"]) for row in rows)
    assert all(len(row["response"]) == row["score"] for row in rows)
    manifest = json.loads((place / "out/manifest.json").read_text("utf-8"))
    assert manifest["component"] == "longest"
    assert manifest["parameters"] == {"unit": "characters", "tokenizer": None}
    assert manifest["budget"] == "5%"
    assert manifest["facts"]["selected"] == 15
    assert {"name", "size", "sha256"} == set(manifest["files"][0])
    assert [one["name"] for one in manifest["files"]] == ["scores.parquet", "selection.jsonl"]
    scored = pq.read_table(place / "out/scores.parquet").to_pylist()
    assert len(scored) == 300
    assert {row["id"]: row["score"] for row in scored if row["chosen"]} == {row["id"]: row["score"] for row in rows}


def test_ids_go_to_stdout_and_nothing_else(place: Path, selkit: Command) -> None:
    """`-o -` prints one id a line; notes stay on stderr."""
    done = selkit("pool.jsonl", "-s", "random", "-b", "4", "--seed", "7", "-o", "-")
    again = selkit("pool.jsonl", "-s", "random", "-b", "4", "--seed", "7", "-o", "-")
    assert len(done.stdout.split()) == 4
    assert done.stdout == again.stdout
    assert selkit("pool.jsonl", "-s", "random", "-b", "4", "--seed", "8", "-o", "-").stdout != done.stdout


def test_the_same_command_writes_the_same_bytes_and_another_one_asks_for_force(place: Path, selkit: Command) -> None:
    """A folder is not overwritten by a different selection unless told so."""
    command = ["pool.jsonl", "-s", "random", "-b", "9", "-o", "out"]
    selkit(*command)
    first = (place / "out/selection.jsonl").read_bytes()
    assert selkit(*command).returncode == 0
    assert (place / "out/selection.jsonl").read_bytes() == first
    other = selkit(*command, "--seed", "1")
    assert other.returncode == 4
    assert "--force" in other.stderr
    assert (place / "out/selection.jsonl").read_bytes() == first
    assert selkit(*command, "--seed", "1", "--force").returncode == 0
    assert (place / "out/selection.jsonl").read_bytes() != first


def test_a_pool_is_read_as_selkit_pool_reads_it(place: Path, selkit: Command) -> None:
    """Columns, caps and samples; another seed chooses other rows, and out of the same pool."""
    rows = [{"key": f"k{i}", "q": f"do {i}", "a": "x" * (i + 1), "task": i % 3} for i in range(60)]
    (place / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    columns = [f"--columns={pair}" for pair in ("instruction=q", "response=a", "id=key")]
    everything = ["odd.jsonl", *columns, "-s", "random", "-b", "100%", "-o", "-"]
    capped = [set(selkit(*everything, "--cap", "task=4", "--seed", seed).stdout.split()) for seed in "01"]
    assert len(capped[0]) == 12
    assert capped[0] == capped[1]
    assert len(selkit(*everything, "--sample", "7").stdout.split()) == 7
    few = ["odd.jsonl", *columns, "-s", "random", "-b", "5", "-o", "-", "--cap", "task=4"]
    chosen = [set(selkit(*few, "--seed", seed).stdout.split()) for seed in "01"]
    assert chosen[0] != chosen[1]
    assert chosen[0] | chosen[1] <= capped[0]
    refused = selkit(*everything, "--cap", "task")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--cap 'task' has no name and value" in refused.stderr


def test_a_budget_of_nothing_is_served_and_said(place: Path, selkit: Command) -> None:
    """An empty selection is what was asked for, and hardly what was wanted: a note says so."""
    done = selkit("pool.jsonl", "-s", "longest", "-p", "unit=characters", "-b", "0", "-o", "out")
    assert done.returncode == 0
    assert (place / "out/selection.jsonl").read_bytes() == b""
    assert "a budget of 0 chooses no rows" in done.stderr
    assert "budget of 0" not in selkit("pool.jsonl", "-s", "random", "-b", "1", "-o", "-").stderr


def test_dry_run_does_nothing(place: Path) -> None:
    """It says what would be selected; no folder holds a selection afterwards."""
    done = process(place, "pool.jsonl", "-s", "slow", "-b", "9", "-o", "out", "--dry-run")
    assert "9 of 300 rows with slow" in done.stdout
    assert not (place / "out/selection.jsonl").exists()
    assert not (place / "scored.log").exists()


def test_llama_factory_finds_its_data(place: Path, selkit: Command) -> None:
    """dataset_info.json names the data file and the columns that its rows have."""
    selkit("pool.jsonl", "-s", "random", "-b", "3", "-o", "out", "--llama-factory")
    info = json.loads((place / "out/dataset_info.json").read_text("utf-8"))
    (entry,) = info.values()
    rows = json.loads((place / "out" / entry["file_name"]).read_text("utf-8"))
    assert len(rows) == 3
    assert set(entry["columns"].values()) <= set(rows[0])


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["none.jsonl", "-s", "random", "-b", "3"], 4, "none.jsonl"),
        (["empty.jsonl", "-s", "random", "-b", "3"], 4, "empty.jsonl"),
        (["broken.jsonl", "-s", "random", "-b", "3"], 4, "line 2"),
        (["pool.jsonl", "-s", "random", "-b", "301"], 4, "more than the 300 rows"),
        (["pool.jsonl", "-s", "random", "-b", "many"], 2, "neither a number of rows"),
        (["pool.jsonl", "-s", "random"], 2, "needs a budget"),
        (["pool.jsonl", "-s", "rndom", "-b", "3"], 3, "Did you mean 'random'"),
        (["pool.jsonl", "-s", "longest", "-p", "unit=miles", "-b", "3"], 2, "unit"),
        (["pool.jsonl", "-s", "longest", "-p", "units=words", "-b", "3"], 2, "Did you mean 'unit'"),
        (["pool.jsonl", "-s", "longest", "-b", "3"], 2, "unit=words"),
        (["pool.jsonl", "-s", "longest", "-p", "tokenizer=empty-model", "-b", "3"], 4, "empty-model"),
        (["pool.jsonl", "-s", "random", "-b", "3", "--sede", "1"], 2, "--sede"),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(
    place: Path, selkit: Command, arguments: list[str], code: int, word: str
) -> None:
    """What, why, what to do; nothing on stdout, nothing written."""
    (place / "empty.jsonl").touch()
    (place / "broken.jsonl").write_text('{"instruction": "a", "output": "b"}\n{"instruction": \n', encoding="utf-8")
    (place / "empty-model").mkdir()
    (place / "empty-model/config.json").write_text("{}", encoding="utf-8")
    done = selkit(*arguments, "-o", "out")
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not (place / "out/selection.jsonl").exists()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(place: Path, selkit: Command) -> None:
    """A file stands where the folder should be."""
    (place / "taken").write_text("mine", encoding="utf-8")
    done = selkit("none.jsonl", "-s", "random", "-b", "3", "-o", "taken/out")
    assert done.returncode == 4
    assert "taken/out cannot be written" in done.stderr
    assert (place / "taken").read_text("utf-8") == "mine"


@pytest.mark.slow
def test_kill_nine_in_a_scoring_pass_costs_at_most_the_row_in_flight(place: Path) -> None:
    """Scenario 1: killed twice at different moments, then finished: at most one row scored again a kill, and the same
    bytes."""
    command = ["pool.jsonl", "-s", "slow", "-b", "20", "-o", "out"]
    log = place / "scored.log"
    for rows in (30, 80):
        killed = subprocess.Popen(
            [sys.executable, "-m", "selkit", "select", *command],
            cwd=place,
            env=environment(place),
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < rows):
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert not (place / "out/manifest.json").exists()
    assert process(place, *command).returncode == 0
    scored = log.read_text().split()
    assert len(set(scored)) == 300
    assert len(scored) <= 302
    log.unlink()
    undisturbed = process(place, *command[:-1], "calm", store="another")
    assert undisturbed.returncode == 0
    assert (place / "out/selection.jsonl").read_bytes() == (place / "calm/selection.jsonl").read_bytes()
