"""What is known of experiments that have run: their stages, costs and state, and what a clean-up leaves of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from inline import Inline

from selkit.api import DataError
from selkit.cli.status import command as status_command
from selkit.experiment import parse_spec, plan, run_experiment
from selkit.experiment.outlook.estimate import estimate
from selkit.experiment.outlook.status import status_of
from selkit.experiment.outlook.survey import survey
from selkit.experiment.setup.experiment import prepare
from selkit.experiment.setup.stages import KINDS
from selkit.experiment.upkeep.cleaning import clean
from selkit.store import Key, Store

pytestmark = pytest.mark.slow

SPEC: dict[str, Any] = {
    "name": "tiny",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 4},
    "selectors": ["random", {"name": "longest", "parameters": {"unit": "words"}}],
    "budgets": [10, 20],
    "runs": {"random": 3, "longest": 1},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4}},
    "workers": 1,
    "threads": 1,
    "keep": "all",
}
FAILING = {**SPEC, "name": "failing", "selectors": ["random", "longest"], "budgets": [20], "keep": "none"}


@dataclass(frozen=True)
class Finished:
    """Two runs on one store: one that ended well, and one with a cell that cannot."""

    store: Store
    out: Path
    failing: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Both runs, once for all tests; each test that removes something works on a copy of the store."""
    folder = tmp_path_factory.mktemp("finished")
    store = Store(folder / "store")
    document = run_experiment(parse_spec(SPEC), folder / "out", store=Store(folder / "store"), executor=Inline())
    # rows that no sequence has room for are the longest
    rows = [{"instruction": f"copy word {number}", "output": f"word {number}"} for number in range(40)]
    rows += [{"instruction": "copy " * 300, "output": f"word {number} " * 40} for number in range(20)]
    (folder / "pool.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    spec = {**FAILING, "pools": [{"name": "pool", "source": str(folder / "pool.jsonl")}]}
    run_experiment(parse_spec(spec), folder / "failing", store=Store(folder / "store"), executor=Inline())
    return Finished(store, folder / "out", folder / "failing", document)


def test_nothing_is_left_to_do_and_larger_plans_take_the_rates_measured(finished: Finished) -> None:
    """Every stage is stored and costs nothing more; of new ones the trainings and answers are measured, not guessed."""
    found = survey(prepare(parse_spec(SPEC), finished.store))
    assert all(stage.stored for stage in found.stages.values())
    assert {stage.kind for stage in found.stages.values()} == set(KINDS) - {"validation", "benchmark"}
    assert estimate(found).device_seconds == 0
    expected = estimate(survey(prepare(parse_spec({**SPEC, "runs": {"random": 5}}), finished.store)))
    lines = {line.kind: line for line in expected.lines}
    assert lines["training"].to_do == 2 * (2 + 2)
    for kind in ("training", "answers"):
        assert lines[kind].source.startswith("measured: stored")
        assert lines[kind].device_seconds > 0


def test_costs_add_up(finished: Finished) -> None:
    """Selection and training of every arm are what the store measured; the pass that two budgets share is charged to
    each in full, and half to each beside it."""
    measured, ledger = finished.document["measured"], finished.store.ledger()
    rows = {(row["arm"], row["budget"]): row for row in measured["costs"]}
    assert rows.keys() == {(arm, budget) for arm in ("random", "longest") for budget in ("10", "20")}
    wall = {row.key: row.quantity for row in ledger if row.resource == "wall_seconds"}
    own = next(row for row in finished.document["selections"] if (row["arm"], row["budget"]) == ("longest", "10"))
    passed = own["facts"]["scores"]
    row = rows["longest", "10"]
    assert row["selection_seconds"] == pytest.approx(wall[own["key"]] + wall[passed])
    assert row["selection_seconds_shared"] == pytest.approx(wall[own["key"]] + wall[passed] / 2)
    trained = [one["seconds"] for one in measured["training"] if (one["arm"], one["budget"]) == ("random", "20")]
    assert rows["random", "20"]["training_seconds"] == pytest.approx(sum(trained) / 3)
    for row in rows.values():
        control = rows["random", row["budget"]]
        assert row["seconds"] == pytest.approx(row["selection_seconds"] + row["training_seconds"])
        assert row["times_control"] == pytest.approx(row["seconds"] / control["seconds"])
        assert row["full_source"].startswith("estimated: the recipe's 2 steps")
    assert measured["totals"]["wall_seconds"] > row["selection_seconds"]


def test_costs_are_told(finished: Finished) -> None:
    """In sentences and in a table; not outside of what is measured, since clocks differ."""
    rows = {(row["arm"], row["budget"]): row for row in finished.document["measured"]["costs"]}
    sentences = finished.document["measured"]["sentences"]
    assert f"), for {rows['longest', '10']['times_control']:.1f} times random's cost" in sentences[0]
    plain = {**finished.document, "measured": None}
    assert "times random's cost" not in json.dumps(plain)
    text = (finished.out / "report/report.md").read_text("utf-8")
    assert "## Costs" in text
    assert sentences[0] in text


def test_status_names_reason_and_log_of_a_failed_cell(finished: Finished, tmp_path: Path) -> None:
    """The others are done; the log holds the traceback, and a mended cell is failed no more."""
    command = [sys.executable, "-m", "selkit", "status", str(finished.failing), "--json"]
    environment = os.environ | {"SELKIT_STORE": str(finished.store.root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["counts"] == {"done": 4, "running": 0, "failed": 1, "to judge": 0, "to do": 0}
    assert found["runs"] == []
    (failed,) = [cell for cell in found["cells"] if cell["state"] == "failed"]
    assert failed["cell"] == "pool/20/longest/1"
    assert "nothing to train on" in failed["error"]
    log = Path(failed["log"]).read_text("utf-8")
    document = json.loads((finished.failing / "report/report.json").read_text("utf-8"))
    assert document["measured"]["logs"] == {failed["cell"]: failed["log"]}
    assert log.startswith("pool/20/longest/1, training")
    assert "Traceback" in log


def test_status_says_where_a_finished_run_has_nothing_in_the_store(finished: Finished, tmp_path: Path) -> None:
    """So that nobody who forgot --store takes the run for one that has done nothing."""
    runner = CliRunner()
    there, elsewhere = (
        runner.invoke(status_command, [str(finished.out), "--store", str(store)])
        for store in (finished.store.root, tmp_path / "other")
    )
    assert "has no result of it" not in there.stderr
    assert f"has a report, and the store {tmp_path / 'other'} has no result of it: it was made in" in elsewhere.stderr


def test_status_sees_who_works_on_a_cell(finished: Finished, tmp_path: Path) -> None:
    """A lease that is held makes a cell run, by this process; one whose holder was killed makes none."""
    store = copied(finished, tmp_path)
    planned = plan(parse_spec({**SPEC, "runs": {"random": 4}}), store)
    job = next(job for cell, job in planned.jobs.items() if (cell.arm, cell.run) == ("random", 4))
    assert job.weights is not None
    seen: list[Any] = []

    def make(draft: Any) -> None:
        # from another thread: for the one that holds it, the lease is free to go on with
        thread = threading.Thread(target=lambda: seen.append(status_of(survey(planned.experiment))))
        thread.start()
        thread.join()
        raise DataError("stopped")

    with pytest.raises(DataError):
        store.obtain(job.weights, make)
    running = [cell for cell in seen[0].cells if cell.state == "running"]
    assert [(cell.cell, cell.running[0].pid) for cell in running] == [(job.label, os.getpid())]
    lease = store.layout.leases / f"{job.weights.digest}.json"
    lease.write_text(json.dumps({"pid": 1, "host": "gone", "label": "weights/sft", "started": 0}), encoding="utf-8")
    now = status_of(survey(planned.experiment))
    assert now.counts["running"] == 0
    assert now.per_hour > 0
    assert now.seconds_left is not None


def copied(finished: Finished, folder: Path) -> Store:
    """A store to remove things from."""
    shutil.copytree(finished.store.root, folder / "store")
    return Store(folder / "store")


def test_a_clean_up_leaves_runs_what_they_need(finished: Finished, tmp_path: Path) -> None:
    """A stray result goes; both runs' selections, scores, weights, answers and passes stay, and run again as stored."""
    store = copied(finished, tmp_path)
    before = {artifact.digest for artifact in store.artifacts()}
    stray = store.obtain(Key("scores", "stray"), lambda draft: draft.record(uses=[]))
    told = clean(store, unused_for=0, dry_run=True)
    assert told.digests == (stray.digest,)
    assert {artifact.digest for artifact in store.artifacts()} == before | {stray.digest}
    assert clean(store, unused_for=0).digests == (stray.digest,)
    assert {artifact.digest for artifact in store.artifacts()} == before
    assert list(store.artifacts(stage="weights"))  # keep: all
    # what the failed run made goes when only the other is named
    gone = clean(store, [finished.out], unused_for=0)
    assert {"training", "selection", "responses"} <= gone.by_stage.keys()
    assert not plan(parse_spec(SPEC), store).missing
    again = run_experiment(parse_spec(SPEC), tmp_path / "again", store=store)
    assert {**again, "measured": None} == {**finished.document, "measured": None}


def test_a_run_whose_folder_is_gone_needs_its_results_until_told_otherwise(finished: Finished, tmp_path: Path) -> None:
    """Nothing goes by default, since the disk may only be away; with forget_missing its results do."""
    store = copied(finished, tmp_path)
    for path in (store.root / "runs").glob("*.json"):
        note = json.loads(path.read_text("utf-8"))
        if note["folder"] == str(finished.out):
            path.write_text(json.dumps({**note, "folder": str(tmp_path / "unmounted")}), encoding="utf-8")
    found = clean(store, unused_for=0, dry_run=True)
    assert (found.digests, found.missing) == ((), (str(tmp_path / "unmounted"),))
    assert clean(store, forget_missing=True, unused_for=0, dry_run=True).by_stage["weights"][0] == 10


def test_weights_go_or_stay_as_the_spec_says(finished: Finished) -> None:
    """All of the first run, which keeps them, and none of the other's; the records of both stay."""
    kept = {artifact.digest for artifact in finished.store.artifacts(stage="weights")}
    named = [artifact.manifest["inputs"]["weights"] for artifact in finished.store.artifacts(stage="training")]
    found = survey(prepare(parse_spec(SPEC), finished.store))
    assert kept == {stage.detail["weights"] for stage in found.of("training")}
    assert len(kept) == 2 * (1 + 3 + 1)
    assert len(set(named) - kept) == 1 + 3
    assert {Path(cell.weights).parent.name for cell in status_of(found).cells} == kept
    assert all((Path(cell.weights) / "model.safetensors").is_file() for cell in status_of(found).cells)


def test_weights_that_were_not_kept_are_said_to_be_gone(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished run that is told to keep weights has none to keep: it says so, trains nothing, and shows none."""
    store = copied(finished, tmp_path)
    for artifact in list(store.artifacts(stage="weights")):
        shutil.rmtree(artifact.directory)
    run_experiment(parse_spec(SPEC), tmp_path / "again", store=store)
    assert (
        "the weights of 10 of them were not kept: with another --store they are trained anew" in capsys.readouterr().err
    )
    assert not any(cell.weights for cell in status_of(survey(prepare(parse_spec(SPEC), store))).cells)
