"""What the results of cells are stored by: all that changes them, and nothing of where the store or the rows lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from selkit.api import ALPACA, Decoding, Example, UsageError
from selkit.experiment import parse_spec, plan
from selkit.experiment.cells.job import Asked, CellJob, HeldOut, TrainingJob, loss_key, record_key, responses_key
from selkit.experiment.cells.job import weights_key as key_of_weights
from selkit.experiment.cells.work import run_cell
from selkit.experiment.setup.experiment import prepare
from selkit.experiment.upkeep.remembered import kept_for_others, remember, remembered, spec_of
from selkit.pools import TestPrompt, TestSet
from selkit.store import Key, Store
from selkit.train import load_recipe

MODEL = "tiny:words?hidden=32&layers=1"
SPEC: dict[str, Any] = {
    "name": "small",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "model": MODEL,
    "recipe": {"preset": "quickstart", "batch_size": 8},
    "selectors": ["random", "oracle"],
    "budgets": 10,
    "threads": 1,
}
PACKAGES = {"selkit", "torch", "transformers", "trl", "accelerate"}
LORA = {"preset": "quickstart", "lora": {"r": 2, "targets": ["q_proj"]}}


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the machine of the tests has."""
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def job(tmp_path: Path) -> CellJob:
    """A cell that trains, on a CPU."""
    training = TrainingJob(tmp_path / "rows.jsonl", "0" * 64, "last", load_recipe("quickstart"))
    return CellJob("a cell", MODEL, training, ALPACA.name, 5, (), (), tmp_path / "store", 1)


def weights_key(job: CellJob, **training: Any) -> Key:
    """The key of the weights after changes of the training."""
    assert job.training is not None
    return key_of_weights(job, replace(job.training, **training))


def test_weights_name_the_packages_that_train_them(job: CellJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEFT where there are adapters, DeepSpeed where it spreads the work; another version of one is another key."""
    assert set(weights_key(job).versions) == PACKAGES
    with_adapters = weights_key(job, recipe=load_recipe(LORA))
    assert set(with_adapters.versions) == PACKAGES | {"peft"}
    assert set(weights_key(job, deepspeed="zero-2").versions) == PACKAGES | {"deepspeed"}
    monkeypatch.setattr("selkit.train.versions.package_version", lambda name: "0" if name == "peft" else "1")
    assert weights_key(job, recipe=load_recipe(LORA)) != with_adapters
    assert weights_key(job).versions["accelerate"] == "1"


def test_a_gpus_results_are_kept_apart_from_a_cpus(job: CellJob, tmp_path: Path) -> None:
    """Weights, answers, benchmarks and losses; of the threads of a CPU, a GPU's know nothing."""
    asked = Asked(TestSet("one", (TestPrompt("a", Example("a", "One?")),)), Decoding())
    held = HeldOut(tmp_path / "held.jsonl", "1" * 64, "last")
    given = replace(job, training=None)  # so that the weights' own key plays no part
    jobs = {(one.device, threads): replace(one, threads=threads) for one in _on_both(given) for threads in (1, 2)}
    for key in (lambda one: responses_key(one, asked), lambda one: loss_key(one, held)):
        digests = {place: key(one).digest for place, one in jobs.items()}
        assert digests["cuda", 1] == digests["cuda", 2]
        assert len(set(digests.values())) == 3
    cpu, gpu = _on_both(job)
    assert weights_key(cpu) != weights_key(gpu)
    assert weights_key(gpu) == weights_key(replace(gpu, threads=2))
    assert weights_key(gpu, precision="bf16") != weights_key(gpu, precision="float32")


def _on_both(job: CellJob) -> tuple[CellJob, CellJob]:
    return job, replace(job, device="cuda")


def test_a_cell_that_is_to_compute_on_a_gpu_refuses_to_do_it_on_a_cpu(job: CellJob) -> None:
    """Its results would be found where a GPU's are looked for."""
    with pytest.raises(UsageError, match="is to compute on a GPU, by which its results are stored, and here is none"):
        run_cell(replace(job, device="cuda"))
    assert not list(Store(job.store).artifacts())


def test_cells_are_planned_for_the_device_that_the_executor_declares(tmp_path: Path) -> None:
    """Without a GPU here: checks ask nothing of this machine's, keys name bf16, and a recipe for GPUs is welcome."""
    store = Store(tmp_path / "store")
    spec = parse_spec({**SPEC, "recipe": {**SPEC["recipe"], "precision": "bf16"}, "processes": 4})
    planned = plan(spec, store, "cuda")
    [key, *_] = [one.weights for one in planned.jobs.values() if one.weights]
    assert (key.conditions["device"], key.conditions["precision"]) == ("cuda", "bf16")
    assert prepare(spec.model_copy(update={"device": "cuda"}), store).device == "cuda"
    with pytest.raises(UsageError, match="needs a GPU"):
        plan(spec, store)


def test_weights_that_another_run_keeps_stay(tmp_path: Path) -> None:
    """An experiment with keep: none does not remove what one with keep: all has left, where both have the cell."""
    store, here = Store(tmp_path / "store"), tmp_path / "here"
    jobs = plan(parse_spec(SPEC), store).jobs
    (first, job), *_ = jobs.items()
    assert job.training is not None
    used = [record_key(job, job.training).digest]

    def kept(keep: str, folder: str) -> list[Any]:
        spec = parse_spec({**SPEC, "keep": keep})
        remember(store, tmp_path / folder, spec, used)
        return [cell for cell, one in kept_for_others(store, here, jobs).items() if one.keep]

    assert kept("none", "other") == []
    assert kept("adapters", "other") == []  # of a recipe that trains all weights there are none
    assert kept("all", "here") == []
    assert kept("all", "other") == [first]


def test_a_remembered_run_knows_the_device_of_its_cells(tmp_path: Path) -> None:
    """So that a machine without one still finds what they left, to show it and to keep it."""
    store, spec = Store(tmp_path / "store"), parse_spec(SPEC)
    remember(store, tmp_path / "run", spec.model_copy(update={"device": "cuda"}))
    [run] = remembered(store)
    assert prepare(parse_spec(run.spec), store).device == "cuda"
    (tmp_path / "run" / "report").mkdir(parents=True)
    report = {"spec": spec.model_dump(mode="json", by_alias=True)}
    (tmp_path / "run" / "report" / "report.json").write_text(json.dumps(report), "utf-8")
    assert spec_of(tmp_path / "run", store)["device"] == "cuda"
    assert spec_of(tmp_path / "run", Store(tmp_path / "another"))["device"] is None
