"""Recipe search end to end: on a tiny model, from the split to the verdicts under the chosen recipes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inline import Inline

pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("scipy")

from selkit.api import PLAIN, Example, Pool, UsageError
from selkit.experiment import parse_spec, plan
from selkit.experiment.cells.job import CellJob, HeldOut
from selkit.experiment.cells.work import answers, held_out_loss, loss_of
from selkit.experiment.document.searched import search, search_document, search_failures
from selkit.experiment.judging.scores import collect
from selkit.experiment.run import run_experiment
from selkit.experiment.setup.grid import Cell
from selkit.pools import write_jsonl
from selkit.store import Store

MODEL = "tiny:words?hidden=32&layers=1"
SPEC: dict[str, Any] = {
    "name": "searching",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
    "model": MODEL,
    "recipes": [
        {"preset": "quickstart", "name": "longer", "max_steps": 30, "batch_size": 8},
        {"preset": "quickstart", "name": "short", "max_steps": 1, "batch_size": 8},
    ],
    "search": {"share": 0.2},
    "selectors": ["random", "oracle"],
    "budgets": [20],
    "runs": {"random": 3, "default": 2},
    "testsets": {"planted": {"prompts": 10, "max_new_tokens": 6}},
    "workers": 1,
}


@pytest.fixture(autouse=True)
def _small_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are built in a folder of the tests, on one thread of the processor."""
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path_factory.getbasetemp() / "models"))
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_the_loss_is_the_mean_over_response_tokens(tmp_path: Path) -> None:
    """Against transformers by hand: every token of every response counts alike, none of a prompt; it is stored."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from selkit.models import resolve

    rows = Pool.from_examples([Example(f"r{n}", f"Say {n} twice.", response="one two " * n) for n in range(1, 5)])
    write_jsonl(rows, tmp_path / "rows.jsonl")
    held = HeldOut(tmp_path / "rows.jsonl", rows.fingerprint, "last")
    model = "tiny:bytes?hidden=32&layers=1&heads=2"
    job = CellJob("a", model, None, "plain", 0, (), (), tmp_path / "store", 1, held_out=held)
    store = Store(job.store)
    assert loss_of(job, store) is None
    found = held_out_loss(job, store, held)
    folder = resolve(model).path
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    losses: list[float] = []
    for row in rows:
        prompt = len(tokenizer(PLAIN.prompt(row))["input_ids"])
        ids = torch.tensor([tokenizer(PLAIN.prompt(row) + row.response)["input_ids"]])
        with torch.no_grad():
            chances = network(input_ids=ids).logits[0, :-1].log_softmax(-1)
        losses += (-chances[torch.arange(ids.shape[1] - 1), ids[0, 1:]]).tolist()[prompt - 1 :]
    assert found == pytest.approx(np.mean(losses), rel=1e-5)
    assert loss_of(job, store) == found


def test_a_search_among_one_recipe_is_refused() -> None:
    """There is nothing to choose from; and a misspelt key is told."""
    with pytest.raises(UsageError, match="search: there is one recipe"):
        parse_spec({**SPEC, "recipes": SPEC["recipes"][:1]})
    with pytest.raises(UsageError, match="Did you mean 'share'"):
        parse_spec({**SPEC, "search": {"shard": 0.1}})
    with pytest.raises(UsageError, match="by its test score"):
        parse_spec({**SPEC, "recipes": ["best_on_test", "lima"]})
    with pytest.raises(UsageError, match="that is judged needs a judge"):
        parse_spec({**SPEC, "search": "judged"})
    with pytest.raises(UsageError, match="asks no judge"):
        parse_spec({**SPEC, "search": {"judge": "reference"}})
    assert parse_spec({**SPEC, "search": "held-out-loss"}).search.share == 0.05


def test_selections_and_validation_rows_are_apart(tmp_path: Path) -> None:
    """Rows are held out before anything is selected, and share neither id nor question with a selection or test."""
    planned = plan(parse_spec(SPEC), Store(tmp_path / "store"))
    split = planned.experiment.splits["planted"]
    assert len(split.held) == 24
    asked = {row.question.lower() for row in split.held}
    chosen = {id_ for choice in planned.chosen.values() for id_ in choice.ids}
    assert chosen
    assert chosen <= set(split.kept.ids)
    assert asked.isdisjoint(row.question.lower() for row in split.kept)
    (testset,) = planned.experiment.testsets
    assert asked.isdisjoint(prompt.prompt.question.lower() for prompt in testset.asked.testset.prompts)
    assert all((job.held_out is None) == (cell.arm == "anchor") for cell, job in planned.jobs.items())


@pytest.mark.slow
def test_verdicts_under_the_chosen_recipes(tmp_path: Path) -> None:
    """The recipe that trains longer is chosen for every arm; its verdict is that of the fixed recipe; once stored,
    nothing is computed again; test scores have no say."""
    store = Store(tmp_path / "store")
    document = run_experiment(parse_spec(SPEC), tmp_path / "out", store=store, executor=Inline())
    found = document["search"]
    assert {(one["arm"], one["recipe"]) for one in found["choices"]} == {("random", "longer"), ("oracle", "longer")}
    for choice in found["choices"]:
        longer, short = choice["tried"]
        assert longer["score"] < short["score"]
        assert longer["score"] == pytest.approx(np.mean([run["score"] for run in longer["runs"]]))
    (verdict,) = found["verdicts"]
    means = {
        arm: np.mean([row["score"] for row in document["scores"] if (row["arm"], row["recipe"]) == (arm, "longer")])
        for arm in ("oracle", "random")
    }
    assert verdict["recipe"] == "chosen"
    assert verdict["effect"] == pytest.approx(100 * (means["oracle"] - means["random"]), abs=1e-9)
    assert (verdict["runs"], verdict["control_runs"]) == (2, 3)
    assert len(document["verdicts"]) == 1
    report = (tmp_path / "out" / "report" / "report.md").read_text("utf-8")
    assert "| planted | 20 | oracle | longer |" in report
    assert "Under the recipe chosen for each arm" in report
    _one_anchor(store)
    before = {path.name for path in (tmp_path / "store").rglob("manifest.json")}
    again = run_experiment(parse_spec(SPEC), tmp_path / "again", store=store)
    assert {path.name for path in (tmp_path / "store").rglob("manifest.json")} == before
    assert json.dumps(again["search"], sort_keys=True) == json.dumps(found, sort_keys=True)


def _one_anchor(store: Store) -> None:
    """Where arm and control take different recipes, both are judged against the anchor under the control's."""
    planned = plan(parse_spec(SPEC), store)
    outcome = collect(planned, {})
    scores = {cell: float((cell.arm == "oracle") != (cell.recipe == "short")) for cell in planned.jobs}
    found = search(planned, outcome, scores)
    assert {ground[2]: choice.recipe for ground, choice in found.choices.items()} == {
        "oracle": "short",
        "random": "longer",
    }
    late = {planned.jobs[cell].label: "3 of 20 passes are missing" for cell in scores if cell.arm == "oracle"}
    waiting = search(planned, outcome, scores, late)
    (verdict,) = search_document(waiting)["search"]["verdicts"]
    assert verdict["verdict"] == "INCOMPLETE"
    assert "3 of 20 passes are missing" in verdict["reason"]
    assert {row["cell"] for row in search_failures(waiting)} == {f"{label}/validation" for label in late}
    anchor = {
        row["id"]: row["response"]
        for (cell, _), rows in outcome.responses.items()
        if (cell.arm, cell.recipe) == ("anchor", "longer")
        for row in rows
    }
    assert {(one.cell.arm, one.cell.run) for one in found.outcome.judged} == {
        *(("oracle", run) for run in (1, 2)),
        *(("random", run) for run in (1, 2, 3)),
    }
    for judged in found.outcome.judged:
        answered = outcome.responses[
            replace(judged.cell, recipe=found.choices["planted", "20", judged.cell.arm, MODEL].recipe), "planted"
        ]
        assert {one.id: one.first for one in judged.comparisons} == {row["id"]: row["response"] for row in answered}
        assert {one.id: one.second for one in judged.comparisons} == anchor


@pytest.mark.slow
def test_recipes_are_chosen_by_judged_answers(tmp_path: Path) -> None:
    """Held-out prompts are answered and judged against the rows' own responses; they are no test set of the report."""
    search = {"by": "judged", "judge": "reference", "share": 0.1, "max_new_tokens": 4}
    small = {
        "recipes": [{**recipe, "max_steps": min(recipe["max_steps"], 2)} for recipe in SPEC["recipes"]],
        "runs": {"random": 1, "default": 1},
        "testsets": {"planted": {"prompts": 4, "max_new_tokens": 2}},
    }
    spec, store = parse_spec({**SPEC, **small, "search": search}), Store(tmp_path / "store")
    document = run_experiment(spec, tmp_path / "out", store=store, executor=Inline())
    planned = plan(spec, store)
    assert planned.missing == []
    testset = planned.experiment.validation["planted"]
    assert len(testset.prompts) == 12
    assert {row["benchmark"] for row in document["scores"]} == {"planted"}
    for choice in document["search"]["choices"]:
        for one in choice["tried"]:
            for run in one["runs"]:
                cell = Cell("planted", "20", choice["arm"], run["run"], one["recipe"], MODEL)
                wrong = [
                    1 - scored(row["response"], testset.prompts[row["id"]].reference)
                    for row in answers(planned.jobs[cell], store, testset.asked)
                ]
                assert run["score"] == pytest.approx(np.mean(wrong))
        assert choice["recipe"] == min(choice["tried"], key=lambda one: one["score"])["recipe"]
    assert "not won against their own responses" in (tmp_path / "out" / "report" / "report.md").read_text("utf-8")


def scored(response: str, reference: str | None) -> float:
    """What the judge by references says of a response against the reference itself: a tie where they are the same."""
    return 0.5 if response.split() == (reference or "").split() else 0.0
