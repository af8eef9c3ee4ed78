"""``compare:``: any two arms against each other, across places, the second as control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from selkit.api import UsageError
from selkit.experiment import Spec, parse_spec
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import Arm, Cell, cells_of
from selkit.experiment.setup.pairs import pairs_of
from selkit.plugins import build

MODEL = "tiny:words?hidden=16&layers=1"
SPEC: dict[str, Any] = {
    "name": "compare",
    "pools": [
        {"name": "planted", "source": {"name": "planted", "rows": 60}},
        {"name": "other", "source": {"name": "planted", "rows": 40}},
    ],
    "model": MODEL,
    "recipes": [
        {"preset": "quickstart", "max_steps": 2, "batch_size": 4, "name": "two"},
        {"preset": "quickstart", "max_steps": 1, "batch_size": 4, "name": "one"},
    ],
    "selectors": ["random", "oracle", "base"],
    "budgets": [10],
    "runs": {"random": 3, "oracle": 3},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4}},
    "workers": 2,
    "threads": 1,
}
HERE = {"arm": "oracle", "pool": "planted"}
THERE = {"arm": "oracle", "pool": "other"}


@dataclass
class Planned:
    """What pairs need of an experiment."""

    spec: Spec
    cells: list[Cell]
    given: tuple[Any, ...] = ()


def pairs(*entries: Any) -> Any:
    """The pairs of the spec above with these entries."""
    spec = parse_spec({**SPEC, "compare": list(entries)})
    arms = [Arm(name, build("selector", name), 3) for name in ("random", "oracle")]
    return pairs_of(cast(Experiment, Planned(spec, cells_of(spec, arms, ["two", "one"], {}))))


def test_a_pair_is_named_by_what_sets_its_sides_apart() -> None:
    """Without a recipe it is the mean over all of them."""
    across, recipes, arms = pairs(
        [HERE, THERE],
        [{**HERE, "recipe": "two"}, {**HERE, "recipe": "one"}],
        [{**HERE, "recipe": "two"}, {"arm": "random", "pool": "planted", "budget": 10, "recipe": "two"}],
    )
    assert across.names == ("oracle (planted)", "oracle (other)")
    assert [name for name, _, _ in across.recipes()] == ["one", "two"]
    assert (across.shared["pool"], across.shared["budget"], across.shared["model"]) == (None, "10", MODEL)
    assert recipes.names == ("oracle (two)", "oracle (one)")
    assert len(recipes.recipes()) == 1
    assert arms.names == ("oracle", "random")
    assert arms.shared == {"pool": "planted", "budget": "10", "recipe": "two", "model": MODEL}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (["oracel", HERE], r"compare.0.arm: there is no arm 'oracel'. Did you mean 'oracle'"),
        ([HERE, "random"], r"compare.0.control: random stands in several places: add pool, which is planted or other"),
        ([{**HERE, "budget": 20}, THERE], r"oracle has no budget '20': it is 10"),
        ([HERE, HERE], "sets oracle against itself"),
        ([{**HERE, "recipe": "two"}, THERE], "several recipes: name one on both sides, or none to take the mean"),
        ([HERE], "a comparison has two sides, and here are 1"),
        ("oracle", "a comparison is a list of two arms"),
        ([HERE, {**THERE, "bugdet": 3}], r"no key 'compare.0.control.bugdet'. Did you mean 'budget'"),
    ],
)
def test_bad_pairs_are_refused(entry: Any, message: str) -> None:
    """One sentence each, before anything runs."""
    with pytest.raises(UsageError, match=message):
        pairs(entry)


@pytest.mark.slow
def test_comparisons_across_pools_recipes_and_given_arms(tmp_path: Path) -> None:
    """A pair in one place says what the verdict says; across places both are judged against one anchor; Holm's
    correction is over the pairs alone."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    pytest.importorskip("statsmodels")
    from selkit.experiment import run_experiment
    from selkit.store import Store

    entries = [
        [HERE, {"arm": "random", "pool": "planted"}],
        [{"arm": "random", "pool": "planted"}, {"arm": "random", "pool": "other"}],
        [{**HERE, "recipe": "two"}, {**HERE, "recipe": "one"}],
        [HERE, "base"],
    ]
    spec = parse_spec({**SPEC, "compare": entries[:3]})
    document = run_experiment(spec, tmp_path / "out", store=Store(tmp_path / "store"))
    rows = document["comparisons"]
    assert [(row["arm"], row["control"], row["recipes"]) for row in rows] == [
        ("oracle", "random", 2),
        ("random (planted)", "random (other)", 2),
        ("oracle (two)", "oracle (one)", 1),
    ]
    assert {row["family_size"] for row in rows} == {3}
    (verdict,) = [one for one in document["verdicts"] if (one["arm"], one["pool"]) == ("oracle", "planted")]
    for name in ("effect", "runs", "control_runs", "items"):
        assert rows[0][name] == verdict[name]
    shares = ("empty_answers", "same_answers", "control_empty_answers", "control_same_answers")
    assert [rows[0][name] for name in shares] == [verdict[name] for name in shares]
    assert all(0 < row[name] <= 1 for row in rows for name in ("same_answers", "control_same_answers"))
    assert document["rules"]["compare"][0]["arm"] == {"arm": "oracle", "pool": "planted"}
    assert "## Comparisons" in (tmp_path / "out/report/report.md").read_text("utf-8")
    _check_items(tmp_path / "out")
    with pytest.raises(UsageError, match="there are several recipes"):
        run_experiment(parse_spec({**SPEC, "compare": entries}), tmp_path / "out", store=Store(tmp_path / "store"))


def _check_items(run: Path) -> None:
    """What was judged in another place for a pair can be looked at: the cell's own answers, against that anchor's."""
    from selkit.report.html import read_items

    items = read_items(run)
    assert items is not None
    numbers = {number for number, one in enumerate(items.benchmarks) if one["against"] == "anchor of other"}
    shown = [one for one in items.items if one.benchmark in numbers]
    cells = {(cell["pool"], cell["arm"]) for one in shown for cell in [items.cells[one.cell]]}
    assert cells == {("planted", "random")}
    assert len(shown) == 2 * 3 * 6  # recipes, runs, prompts
    anchors = {
        (items.cells[cell]["recipe"], prompt): text
        for (cell, prompt), text in items.answers.items()
        if (items.cells[cell]["pool"], items.cells[cell]["arm"]) == ("other", "anchor")
    }
    for one in shown:
        assert one.response == items.answers[one.cell, one.prompt]
        assert one.other == anchors[items.cells[one.cell]["recipe"], one.prompt]
