"""Experiments whose models are trained by several processes each."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from selkit.api import Decoding, Example, Pool, UsageError
from selkit.experiment import parse_spec
from selkit.experiment.cells.job import Asked, CellJob, TrainingJob, cell_keys, weights_key
from selkit.experiment.cells.work import run_cell, training_record
from selkit.experiment.setup.experiment import prepare
from selkit.pools import TestPrompt, TestSet, write_jsonl
from selkit.store import Store
from selkit.train import load_recipe

GREEDY = Decoding(max_new_tokens=2)
SPEC = {
    "name": "spread",
    "pools": "planted",
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": "quickstart",
    "selectors": ["random", "oracle"],
    "budgets": 8,
}


@pytest.fixture(autouse=True)
def _small_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are built below the folder of the test, on one thread of the processor."""
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "models"))
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def job(tmp_path: Path) -> CellJob:
    """A cell that trains on twelve rows and answers nothing."""
    rows = Pool.from_examples(Example(f"r{n:02}", f"Add {n} and one.", response=f"three {n}") for n in range(12))
    write_jsonl(rows, tmp_path / "rows.jsonl")
    recipe = load_recipe({"preset": "quickstart", "max_steps": 2, "batch_size": 4})
    training = TrainingJob(tmp_path / "rows.jsonl", rows.fingerprint, "last", recipe)
    return CellJob("a cell", str(SPEC["model"]), training, "plain", 5, (), (), tmp_path / "store", 1)


@pytest.mark.slow
def test_a_cell_is_trained_by_several_processes(job: CellJob) -> None:
    """The record says so, and the weights of one process and of two are stored apart."""
    assert job.training is not None
    spread = replace(job, training=replace(job.training, processes=2))
    assert spread.training is not None
    assert weights_key(spread, spread.training) != weights_key(job, job.training)
    assert run_cell(spread) == "a cell"
    store = Store(job.store)
    assert all(store.find(key) is not None for key in cell_keys(spread))
    record = training_record(spread, spread.training, store)
    assert (record.processes, record.steps, record.threads) == (2, 2, 1)


@pytest.mark.slow
def test_weights_stay_until_every_cell_that_needs_them_is_done(job: CellJob) -> None:
    """Two experiments share a cell and have other test sets: who is done first does not let the weights go."""
    one, other = (
        replace(job, prompts=(Asked(TestSet(name, (TestPrompt("a", Example("a", f"{name}?")),)), GREEDY),))
        for name in ("one", "other")
    )
    trained, first_is_done = threading.Event(), threading.Event()

    def begin(stage: str) -> None:
        if stage.startswith("answering"):
            trained.set()
            assert first_is_done.wait(60)

    slower = threading.Thread(target=run_cell, args=(other, begin))
    slower.start()
    assert trained.wait(60)
    run_cell(one)
    store = Store(job.store)
    assert job.weights is not None
    assert store.find(job.weights) is not None
    first_is_done.set()
    slower.join()
    assert all(store.find(key) is not None for cell in (one, other) for key in cell_keys(cell))
    assert store.find(job.weights) is None
    assert sum(row.resource == "wall_seconds" for row in store.ledger([job.weights])) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"processes": 3}, "a batch of 64 cannot be shared evenly by 3 processes"),
        ({"deepspeed": "zero-4"}, "no DeepSpeed preset 'zero-4'"),
        ({"processes": 0}, "processes"),
    ],
)
def test_what_cannot_be_spread_is_refused_before_any_model_loads(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    """In one sentence, as `selkit train` does."""
    with pytest.raises(UsageError, match=said):
        prepare(parse_spec(SPEC | changes), Store(tmp_path / "store"))


def test_an_experiment_under_torchrun_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes would wait for each other's cells; the sentence says what to do instead."""
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="run it once, without torchrun"):
        prepare(parse_spec(SPEC), Store(tmp_path / "store"))
