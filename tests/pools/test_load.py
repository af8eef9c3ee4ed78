"""Pools by name, stand-ins, mixes, caps, and the store."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selkit.api import DataError, MissingExtra, Pool, UsageError
from selkit.pools import POOLS, Cap, capped, describe, load_pool, mix
from selkit.store import Store

ROWS = [{"instruction": f"q{i}", "output": f"a{i}", "task": f"t{i % 3}"} for i in range(30)]


def test_stand_in_on_the_command_line(write_lines: Any) -> None:
    """NAME=FILE reads the file under the name of the pool."""
    pool = load_pool(f"alpaca={write_lines(ROWS)}")
    assert (pool.name, len(pool), set(pool.column("source").to_pylist())) == ("alpaca", 30, {"alpaca"})
    assert load_pool({"name": "alpaca", "path": str(write_lines(ROWS))}).fingerprint == pool.fingerprint


def test_stand_in_folder(write_lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the folder SELKIT_POOLS stands in for the pool of its name."""
    path = write_lines(ROWS, name="dolly.jsonl")
    monkeypatch.setenv("SELKIT_POOLS", str(path.parent))
    assert len(load_pool("dolly")) == 30


def test_stand_in_uses_the_columns_of_the_named_pool(write_lines: Any) -> None:
    """HC3's columns are known; a stand-in in ordinary columns is read as that."""
    raw = [{"question": "why?", "human_answers": ["h"], "chatgpt_answers": ["c1", "c2"], "source": "reddit"}]
    (row,) = load_pool(f"hc3={write_lines(raw)}")
    assert (row.instruction, row.response, row.source, row.extra["human_answers"]) == ("why?", "c1", "reddit", ["h"])
    assert len(load_pool(f"hc3={write_lines(ROWS)}")) == 30


def test_named_pools_are_honest_about_their_revision() -> None:
    """A revision is pinned exactly where it is a commit; every pool of the issue has a name."""
    names = {"alpaca", "alpaca-gpt4", "alpaca-cleaned", "dolly", "wizardlm", "evol", "flan", "lima", "hc3"}
    assert set(POOLS) == names
    assert {name for name, pool in POOLS.items() if pool.pinned} == {"alpaca", "alpaca-cleaned", "dolly", "wizardlm"}
    assert all(pool.licence and pool.hub.count("/") == 1 for pool in POOLS.values())


OFFLINE = """
from selkit.__main__ import main
raise SystemExit(main(["pool", "show", "alpaca"]))
"""


@pytest.mark.slow
def test_offline_hub_names_pool_hub_id_and_stand_in(tmp_path: Path) -> None:
    """Without the hub, the message names the pool, its hub id and revision, and the file that would stand in."""
    pytest.importorskip("datasets")
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if "alpaca" in line]
    for words in ("'alpaca'", "tatsu-lab/alpaca@dce01c9b", "alpaca=FILE", "alpaca.jsonl", "SELKIT_POOLS"):
        assert words in line


CACHED = """
import json, os, sys
from pathlib import Path
import datasets
home = Path(os.environ["HF_HOME"])
(home / "rows.jsonl").write_text("".join(json.dumps({"instruction": f"q{i}", "output": "a"}) + "\\n" for i in range(5)))
datasets.load_dataset("json", data_files=str(home / "rows.jsonl"))
made = next((home / "datasets/json").glob("*/*/*/dataset_info.json")).parent
kept = home / "datasets/tatsu-lab___alpaca/default/0.0.0" / made.name
kept.parent.mkdir(parents=True)
made.rename(kept)
(kept / "json-train.arrow").rename(kept / "alpaca-train.arrow")
facts = json.loads((kept / "dataset_info.json").read_text())
facts |= {"config_name": "default", "dataset_name": "alpaca"}
(kept / "dataset_info.json").write_text(json.dumps(facts))
from selkit.__main__ import main
raise SystemExit(main(["pool", "show", "alpaca", "--json"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("code", "status", "rows"), [(OFFLINE, 4, 0), (CACHED, 0, 5)], ids=["empty", "cached"])
def test_a_hub_that_cannot_be_reached_is_asked_once(tmp_path: Path, code: str, status: int, rows: int) -> None:
    """Without a connection the sentence, or the rows of an earlier download, come after one request, no retries."""
    pytest.importorskip("datasets")
    keep = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    places = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "SELKIT_STORE": str(tmp_path / "store")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=keep | places)
    assert done.returncode == status, done.stderr
    assert "Retrying" not in done.stderr
    if rows:
        assert json.loads(done.stdout)["rows"] == rows
    else:
        assert "the hub cannot be reached" in done.stderr.strip().splitlines()[-1]
        assert "alpaca=FILE" in done.stderr


def test_hub_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `datasets` is not installed, the message says what to install and what to do without it."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"selkit-eval\[train\].*lima=FILE") as caught:
        load_pool("lima")
    assert caught.value.exit_code == 3
    with pytest.raises(MissingExtra):
        load_pool("hub:some/thing@v1")


def test_saved_datasets(tmp_path: Path) -> None:
    """A folder written by save_to_disk is read; several splits need a name, and do not mix in the store."""
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_list(ROWS)
    one.save_to_disk(str(tmp_path / "one"))
    both = datasets.DatasetDict({"a": one.select(range(5)), "b": one.select(range(5, 12))})
    both.save_to_disk(str(tmp_path / "both"))
    store = Store(tmp_path / "store")
    assert [row.response for row in load_pool(tmp_path / "one", store=store)] == [row["output"] for row in ROWS]
    sizes = [len(load_pool({"path": str(tmp_path / "both"), "split": split}, store=store)) for split in ("a", "b")]
    assert sizes == [5, 7]
    with pytest.raises(DataError, match=r"no split 'train'.*a, b"):
        load_pool(tmp_path / "both")


@pytest.mark.slow
def test_data_sets_of_the_hub(write_lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hub's library loads (here a folder, which it takes for a data set) is read and kept in the store."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "data"
    folder.mkdir()
    write_lines(ROWS).rename(folder / "train.jsonl")
    store = Store(tmp_path / "store")
    pool = load_pool(f"hub:{folder}", store=store)
    assert (pool.name, len(pool)) == ("data", 30)
    monkeypatch.setattr("selkit.pools.load.import_rows", _never)
    assert load_pool({"hub": str(folder)}, store=store).ids == pool.ids
    with pytest.raises(DataError, match=r"no split 'test'.*it has train"):
        load_pool({"hub": str(folder), "split": "test"}, store=store)


def test_store_keeps_the_import(write_lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 23: a second load reads no row of the file; a changed file and other options are imported anew."""
    path, store = write_lines([*ROWS, {"instruction": "x", "output": ""}]), Store(tmp_path / "store")
    first = load_pool(path, store=store)
    monkeypatch.setattr("selkit.pools.load.import_rows", _never)
    again = load_pool(path, store=store, turns="all")
    assert again.table.equals(first.table)
    assert (again.fingerprint, again.dropped, again.turns) == (first.fingerprint, first.dropped, "all")
    assert again.fingerprint == Pool(first.table).fingerprint
    for source in ({"path": str(path), "skip_bad_lines": True}, {"path": str(path), "name": "other"}):
        with pytest.raises(AssertionError):
            load_pool(source, store=store)
    write_lines(ROWS[:3])
    with pytest.raises(AssertionError):
        load_pool(path, store=store)


def _never(*_: Any) -> None:
    raise AssertionError


def test_failed_import_leaves_nothing(write_lines: Any, tmp_path: Path) -> None:
    """A pool with a bad line leaves no stored result, and mending the line helps."""
    store = Store(tmp_path / "store")
    path = write_lines([ROWS[0], "{"])
    with pytest.raises(DataError):
        load_pool(path, store=store)
    write_lines([ROWS[0], ROWS[1]])
    assert len(load_pool(path, store=store)) == 2


def test_temporary_files_go_with_the_pool(write_lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a store the rows live in a temporary folder that goes when the pool does; a part of it can stay."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    pool = load_pool(write_lines(ROWS))
    assert len(list(folder.iterdir())) == 1
    part = pool.take(pool.ids[:2])
    table = pool.table
    del pool
    assert not list(folder.iterdir())
    assert len(part) == 2
    assert table["response"][29].as_py() == "a29"


def test_full_disk(write_lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is said to be full, and what was written is removed."""
    path, folder = write_lines(ROWS), tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pyarrow.ipc.RecordBatchFileWriter.write_batch", full, raising=False)
    with pytest.raises(DataError, match="no space left") as caught:
        load_pool(path)
    assert caught.value.exit_code == 4
    assert not list(folder.iterdir())


def test_mix_keeps_the_source(write_lines: Any) -> None:
    """Each row of a mix keeps the name of its pool; rows that two pools share get numbered ids; columns are joined."""
    first = write_lines([*ROWS, ROWS[0]], name="first.jsonl")
    second = write_lines(
        [ROWS[0] | {"task": 5, "new": 1}, ROWS[1] | {"output": "other", "source": "web"}], name="second.jsonl"
    )
    pool = load_pool({"mix": [str(first), {"path": str(second), "name": "zweiter"}], "name": "both"})
    assert (pool.name, len(pool)) == ("both", 33)
    assert Counter(pool.column("source").to_pylist()) == {"first": 31, "zweiter": 2}
    shared = [row for row in pool if row.instruction == "q0"]
    assert len({row.id.split("-")[0] for row in shared}) == 1
    assert sorted(row.id[16:] for row in shared) == ["", "-2", "-3"]
    assert len(set(pool.ids)) == 33
    assert json.loads(shared[-1].extra["task"]) == 5
    assert [row.extra["original_source"] for row in pool][-1] == "web"
    assert load_pool([str(first), str(second)]).name == "mix"


def test_mix_of_pools_of_one_name(write_lines: Any) -> None:
    """Two pools of one name could not be told apart."""
    path = str(write_lines(ROWS))
    with pytest.raises(DataError, match="two pools of the mix are called 'pool'"):
        load_pool([path, path])


def test_mix_inside_a_mix(write_lines: Any) -> None:
    """A mix inside a mix keeps the names of its parts."""
    paths = [str(write_lines([ROWS[i]], name=f"{i}.jsonl")) for i in range(3)]
    pool = load_pool({"mix": [{"mix": paths[:2], "name": "inner"}, paths[2]]})
    assert pool.column("source").to_pylist() == ["0", "1", "2"]


def test_mix_drops_are_counted(write_lines: Any) -> None:
    """What the parts left out is counted in the whole, and fractions and whole numbers go together."""
    first = load_pool(write_lines([*ROWS, {"instruction": "x"}], name="a.jsonl"))
    second = load_pool(write_lines([ROWS[0] | {"n": 1}, {"instruction": "y"}], name="b.jsonl"))
    assert mix([first, second]).dropped_counts == {"no response": 2}


def test_cap_keeps_n_of_each_value_whatever_the_order(write_lines: Any) -> None:
    """A cap keeps n rows for each value, the same ones in any order of the file, others with another seed."""
    rows = [row | {"task": row["task"] if i else None} for i, row in enumerate(ROWS)]
    cap = {"column": "task", "n": 4}
    pool = load_pool({"path": str(write_lines(rows)), "cap": cap})
    assert Counter(pool.column("task").to_pylist()) == {"t0": 4, "t1": 4, "t2": 4, None: 1}
    assert pool.dropped_counts == {"over the cap of 4 rows for each task": 17}
    assert {row.id for row in pool.dropped}.isdisjoint(pool.ids)
    turned = load_pool({"path": str(write_lines(rows[::-1])), "cap": cap})
    assert set(turned.ids) == set(pool.ids)
    other = load_pool({"path": str(write_lines(rows)), "cap": cap, "seed": 1})
    assert set(other.ids) != set(pool.ids)


def test_cap_is_uniform(write_lines: Any) -> None:
    """Over many seeds every row is kept equally often, within five standard errors."""
    pool = load_pool(write_lines(ROWS[:10]))
    kept = Counter(one for seed in range(600) for one in capped(pool, Cap(3, None, seed)).ids)
    assert set(kept) == set(pool.ids)
    assert all(abs(count - 180) < 5 * (600 * 0.3 * 0.7) ** 0.5 for count in kept.values())


def test_cap_by_a_nested_column(write_lines: Any) -> None:
    """Lists count as equal where their values are."""
    pool = load_pool(write_lines([row | {"tags": [i % 2]} for i, row in enumerate(ROWS)]))
    assert len(capped(pool, Cap(2, "tags"))) == 4


def test_sample_and_unknown_column(write_lines: Any) -> None:
    """A sample keeps n rows of the pool in pool order; a cap by a column that is not there is refused."""
    path = str(write_lines(ROWS))
    whole, part = load_pool(path), load_pool({"path": path, "sample": 7})
    assert len(part) == 7
    assert part.ids == [one for one in whole.ids if one in set(part.ids)]
    assert len(load_pool({"path": path, "sample": 1000})) == 30
    with pytest.raises(UsageError, match="no column 'kind'"):
        load_pool({"path": path, "cap": {"column": "kind", "n": 1}})


def test_facts_of_a_pool(write_lines: Any) -> None:
    """Rows, duplicates, what was left out and lengths are counted."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [
        {"instruction": "one two", "input": "three", "output": " a\tb\nc "},
        {"instruction": "one two", "input": "three", "output": " a\tb\nc "},
        {"instruction": "x", "output": "y", "history": turns},
        {"instruction": "x", "output": ""},
    ]
    facts = describe(load_pool(write_lines(rows)))
    assert (facts.rows, facts.duplicates, facts.conversations) == (3, 1, 1)
    assert facts.dropped == {"the response is empty": 1}
    assert facts.response_words == {"shortest": 1, "quarter": 2, "median": 3, "three quarters": 3, "longest": 3}
    assert (facts.instruction_words["shortest"], facts.instruction_words["longest"]) == (1, 3)
    assert facts.sources == {"pool": 3}
    assert facts.columns["response"] == "string"
