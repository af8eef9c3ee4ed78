"""Several recipes and base models: which cells there are, what they share, and how the results keep apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selkit.api import SelkitError, UsageError
from selkit.experiment import parse_spec
from selkit.experiment.setup.arms import claims
from selkit.experiment.setup.grid import ANCHOR, Arm, Cell, cells_of
from selkit.plugins import build

SMALL = "tiny:words?hidden=16&layers=1"
SPEC: dict[str, Any] = {
    "name": "grid",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "models": [SMALL, {"model": "tiny:words?hidden=8&layers=1", "as": "smaller"}],
    "recipes": [
        {"preset": "quickstart", "max_steps": 2, "batch_size": 4, "name": "two"},
        {"preset": "quickstart", "max_steps": 1, "batch_size": 4, "name": "one"},
    ],
    "selectors": ["random", "oracle", "full"],
    "budgets": [10],
    "runs": {"random": 3, "oracle": 2, "default": 1},
    "testsets": {"planted": {"prompts": 4, "max_new_tokens": 4}},
    "workers": 2,
    "threads": 1,
}


def arms_of(*names: str) -> list[Arm]:
    """Arms of one run."""
    return [Arm(name, build("selector", name), 1) for name in names]


def test_every_pool_model_and_recipe_has_its_cells() -> None:
    """Each with an anchor of its own; the label names recipe and model because there are several."""
    cells = cells_of(parse_spec(SPEC), arms_of("random", "full"), ["two", "one"], {})
    assert len(cells) == len(set(cells)) == 2 * 2 * 3
    settings = {("planted", recipe, model) for recipe in ("two", "one") for model in (SMALL, "smaller")}
    assert {cell.setting for cell in cells if cell.arm == ANCHOR} == settings
    assert cells[0].label == f"planted/10/anchor/0/two/{SMALL}"
    assert (
        Cell("planted", "10", "full", 1, "two", "smaller").draw == Cell("planted", "10", "full", 1, "x", "smaller").draw
    )


def test_one_recipe_and_one_model_are_not_in_the_label() -> None:
    """So what an experiment wrote before there could be several has the same names."""
    spec = parse_spec({**SPEC, "models": [SMALL], "recipes": ["quickstart"]})
    assert [cell.label for cell in cells_of(spec, arms_of("random"), ["quickstart"], {})][1] == "planted/10/random/1"


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({}, [(1, 1), (2, 2)]),
        ({"selection": 3}, [(3, 1), (3, 2)]),
        ({"training": 0}, [(1, 0), (2, 0)]),
    ],
)
def test_a_pinned_seed_leaves_the_other_to_the_run(seeds: dict[str, int], expected: list[tuple[int, int]]) -> None:
    """The anchor keeps the draw that no run has."""
    spec = parse_spec({**SPEC, "seeds": seeds, "models": [SMALL]})
    cells = cells_of(spec, [Arm("random", build("selector", "random"), 2)], ["two"], {})
    assert [(cell.selection_seed, cell.training_seed) for cell in cells[1:]] == expected
    assert (cells[0].selection_seed, cells[0].training_seed) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": SMALL}, "model and models are both given"),
        ({"models": []}, "model and models are both missing: give model for one, models for a list"),
        ({"recipe": "quickstart"}, "recipe and recipes are both given"),
        ({"models": [SMALL, SMALL]}, "two models are called .* give each a name of its own with 'as'"),
        ({"models": [{"model": SMALL, "at": "x"}]}, r"no key 'models.0.at'.*keys here are model, as"),
        ({"recipes": ["lima", "best_on_test"]}, "finds differences where there are none"),
        ({"seeds": {"selection": 1, "training": 1}}, "with both seeds pinned every run is the same"),
        ({"seeds": {"selektion": 1}}, "Did you mean 'selection'"),
        ({"budgets": [10, 0]}, "a budget of 0 leaves nothing to train on"),
    ],
)
def test_bad_grids_are_refused(changes: dict[str, Any], message: str) -> None:
    """One sentence that names the way out."""
    with pytest.raises(UsageError, match=message):
        parse_spec({**SPEC, **changes})


def test_arms_of_one_run_are_among_what_cannot_be_claimed() -> None:
    """They borrow from arms that have several runs; where none has, nobody is said to lend."""
    arms = arms_of("random", "full")
    (*_, borrowed) = claims(parse_spec(SPEC), (*arms, Arm("oracle", build("selector", "oracle"), 2)))
    assert borrowed == "One run only: random, full. Their run variance is borrowed from the other arms."
    (*_, unknown) = claims(parse_spec(SPEC), tuple(arms))
    assert unknown == "One run only: random, full. No arm tells how much runs differ."


def test_a_pinned_seed_is_among_what_cannot_be_claimed(tmp_path: Path) -> None:
    """All runs of an arm then have the same rows, and trainings of their own."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    from selkit.experiment import plan
    from selkit.store import Store

    spec = {**SPEC, "models": [SMALL], "recipes": SPEC["recipes"][:1], "seeds": {"selection": 7}}
    planned = plan(parse_spec(spec), Store(tmp_path / "store"))
    assert "The selection seed is pinned at 7" in " ".join(planned.experiment.notes)
    runs = [cell for cell in planned.jobs if cell.arm == "random"]
    assert len(runs) == 3
    assert len({planned.chosen[cell].ids for cell in runs}) == 1
    assert {planned.jobs[cell].seed for cell in runs} == {1, 2, 3}
    (anchor,) = (cell for cell in planned.jobs if cell.arm == ANCHOR)
    assert planned.chosen[anchor].ids != planned.chosen[runs[0]].ids


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": {"longets": 3}, "selectors": ["random", "longest"]}, "runs: there is no arm 'longets'.*'longest'"),
        (
            {"control": "lognest", "runs": {}, "selectors": ["random", "longest"]},
            "control: there is no arm 'lognest'.*'longest'",
        ),
    ],
)
def test_arms_that_are_not_there_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """With the nearest one that is."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    from selkit.experiment.setup.experiment import prepare
    from selkit.store import Store

    with pytest.raises(UsageError, match=message):
        prepare(parse_spec({**SPEC, "models": [SMALL], **changes}), Store(tmp_path / "store"))


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    """The score table could not tell them apart."""
    pytest.importorskip("torch")
    from selkit.experiment import plan
    from selkit.store import Store

    with pytest.raises(UsageError, match=r"two recipes are called 'quickstart'.*with 'name'"):
        plan(parse_spec({**SPEC, "recipes": ["quickstart", {"preset": "quickstart"}]}), Store(tmp_path / "store"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"selectors": ["random", "oracle", "strict-random"], "budgets": [31]},
            "strict-random at 31 needs 31 rows that no other arm chose, and oracle alone chooses 31 of the 60",
        ),
        ({"budgets": [10, 61]}, "a budget of 61 is more than the 60 rows"),
        ({"recipes": ["car", {"preset": "quickstart", "lora": {"targets": ["q_prj"]}}]}, "no layers named q_prj"),
        ({"recipes": ["car", {"preset": "quickstart", "precision": "bf16"}]}, "needs a GPU"),
        ({"models": [SMALL, "nowhere/x"]}, "nowhere/x does not exist"),
        ({"selectors": [{"name": "randm"}]}, "Did you mean 'random'"),
    ],
)
def test_impossible_cells_are_found_before_anything_runs(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Under any of the recipes and models; nothing is stored."""
    pytest.importorskip("torch")
    pytest.importorskip("peft")
    pytest.importorskip("sacrebleu")
    from selkit.experiment import plan
    from selkit.store import Store

    store = Store(tmp_path / "store")
    with pytest.raises(SelkitError, match=message):
        plan(parse_spec({**SPEC, **changes}), store)
    assert not list(store.artifacts(stage="selection"))


def test_selections_are_made_once_for_all_recipes_and_models_that_they_do_not_look_at(tmp_path: Path) -> None:
    """One stored selection per arm and run; weights differ by recipe and model."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    from selkit.experiment import plan
    from selkit.experiment.cells.job import weights_key
    from selkit.experiment.selection.selecting import distinct
    from selkit.store import Store

    store = Store(tmp_path / "store")
    planned = plan(parse_spec(SPEC), store)
    assert len(planned.jobs) == 2 * 2 * (1 + 3 + 2 + 1)
    made = distinct(planned.chosen)
    assert len(list(store.artifacts(stage="selection"))) == len({one.key for one in made}) == 1 + 3 + 2 + 1
    assert {one.cell.columns()["model"] for one in made} == {None}
    trained = [weights_key(job, job.training).digest for job in planned.jobs.values() if job.training]
    assert len(set(trained)) == 2 * 2 * (1 + 3 + 2 + 1)


@pytest.mark.slow
def test_the_report_keeps_models_apart_and_recipes_together(tmp_path: Path) -> None:
    """A verdict per model over both recipes; the score table names both; a second call makes nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    pytest.importorskip("statsmodels")
    import pyarrow.parquet as pq

    from selkit.experiment import plan, run_experiment
    from selkit.store import Store

    store = Store(tmp_path / "store")
    spec = parse_spec({**SPEC, "selectors": ["random", "oracle"], "runs": {"random": 2, "oracle": 1}})
    document = run_experiment(spec, tmp_path / "out", store=store)
    found = {(row["arm"], row["model"], row["recipe"], row["recipes"]) for row in document["verdicts"]}
    assert found == {("oracle", model, None, 2) for model in (SMALL, "smaller")}
    assert [recipe["name"] for recipe in document["recipes"]] == ["two", "one"]
    table = pq.read_table(tmp_path / "out/scores.parquet")
    assert set(table["recipe"].to_pylist()) == {"one", "two"}
    assert set(table["model"].to_pylist()) == {SMALL, "smaller"}
    assert table.num_rows == 2 * 2 * 4 * (2 + 1)
    assert any("from smaller" in line for line in document["sentences"])
    report = (tmp_path / "out/report/report.md").read_text("utf-8")
    assert "| pool | budget | model | on | arm |" in report
    assert not plan(spec, store).missing
