"""Recipe search: what is held out, which recipe is chosen, and that no test score has a say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import ContractViolation, DataError, Example, Pool, Turn
from selkit.experiment.contamination.validation import split
from selkit.experiment.document.search import CHOSEN, choose, chosen_cells
from selkit.experiment.setup.grid import ANCHOR, Cell


def pool(questions: Sequence[str]) -> Pool:
    """Rows r000, r001, ... that ask these questions."""
    return Pool.from_examples(
        [Example(f"r{n:03}", question, response=f"answer {n}") for n, question in enumerate(questions)], name="p"
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.floats(0.01, 0.5), st.data())
def test_the_two_parts_share_neither_ids_nor_questions(numbers: list[int], share: float, data: st.DataObject) -> None:
    """Whatever rows ask the same: no question on both sides, all rows accounted for, no barred question held out."""
    questions = [f"Question, NUMBER {n}!" if place % 2 else f"question number {n}" for place, n in enumerate(numbers)]
    whole = pool(questions)
    barred = data.draw(st.sets(st.sampled_from(whole.ids), max_size=len(whole) // 2))
    asked = dict(zip(whole.ids, numbers, strict=True))
    free = set(numbers) - {asked[id_] for id_ in barred}
    if not free or len(set(numbers)) == 1:
        with pytest.raises(DataError, match="no row of pool 'p' can be held out"):
            split(whole, share, 1000, barred)
        return
    found = split(whole, share, 1000, barred)
    kept, held = set(found.kept.ids), set(found.held.ids)
    assert kept | held | set(found.alike) == set(whole.ids)
    assert len(kept) + len(held) + len(found.alike) == len(whole)
    assert {asked[id_] for id_ in kept}.isdisjoint(asked[id_] for id_ in held)
    assert {asked[id_] for id_ in held} <= free
    assert len(held) == min(max(1, round(share * len(whole))), len(free))
    assert list(found.kept.ids) == [id_ for id_ in whole.ids if id_ in kept]


def test_the_split_does_not_depend_on_the_order_of_the_rows() -> None:
    """The same rows in another order give the same validation rows; at most so many are held out."""
    whole = pool([f"question {n}" for n in range(200)])
    turned = whole.take(whole.ids[::-1])
    assert split(whole, 0.1, 1000).held.ids == split(turned, 0.1, 1000).held.ids
    assert len(split(whole, 0.1, 1000).held) == 20
    assert len(split(whole, 0.1, 7).held) == 7


def test_conversations_are_told_apart_by_what_came_before() -> None:
    """'Go on' after two different questions is two questions."""
    earlier = [(Turn("user", text), Turn("assistant", "yes")) for text in ("one", "two", "one")]
    rows = [Example(f"r{n}", "Go on", response="x", history=history) for n, history in enumerate(earlier)]
    found = split(Pool.from_examples(rows), 0.34, 10)
    assert {frozenset({*found.held.ids, *found.alike}), frozenset(found.kept.ids)} == {
        frozenset({"r0", "r2"}),
        frozenset({"r1"}),
    }


def test_a_selection_with_a_held_out_row_is_refused() -> None:
    """By its id, and where it asks the same."""
    found = split(pool(["a a", "A a!", "b", "c"]), 0.5, 10)
    found.check(found.kept.ids)
    for id_ in (*found.held.ids, *found.alike):
        with pytest.raises(ContractViolation, match=f"holds row '{id_}'"):
            found.check([*found.kept.ids, id_])


def cell(arm: str, run: int, recipe: str, pool: str = "p", budget: str | None = "10") -> Cell:
    """A cell of the base model m."""
    return Cell(pool, budget, arm, run, recipe, "m")


def test_the_best_mean_over_all_runs_is_chosen() -> None:
    """Per pool, budget, arm and model; of equal ones the first; the anchor has no choice."""
    losses = {"s": {"a": [2.0, 1.0], "b": [1.2, 1.2]}, "random": {"a": [1.0, 1.0], "b": [1.0, 1.0]}}
    scores = [
        (cell(arm, run, recipe), loss)
        for arm, recipes in losses.items()
        for recipe, runs in recipes.items()
        for run, loss in enumerate(runs, 1)
    ]
    found = choose([*scores, (cell(ANCHOR, 0, "a"), 0.1), (cell("s", 1, "b", budget="20"), 3.0)])
    assert {ground: choice.recipe for ground, choice in found.items()} == {
        ("p", "10", "s", "m"): "b",
        ("p", "10", "random", "m"): "a",
        ("p", "20", "s", "m"): "b",
    }
    first = found["p", "10", "s", "m"]
    assert [(one.recipe, one.score) for one in first.tried] == [("a", 1.5), ("b", 1.2)]
    assert not first.missing
    assert first.to_dict()["tried"][0]["runs"] == [{"run": 1, "score": 2.0}, {"run": 2, "score": 1.0}]


@pytest.mark.parametrize("lost", [None, math.nan, math.inf])
def test_a_recipe_without_a_score_in_every_run_is_not_chosen(lost: float | None) -> None:
    """Be it ever so good in the others; where no recipe has all there is no choice, and both are told."""
    scores = [(cell("s", 1, "a"), 0.1), (cell("s", 2, "a"), lost), (cell("s", 1, "b"), 2.0), (cell("s", 2, "b"), 2.0)]
    (choice,) = choose(scores).values()
    assert (choice.recipe, choice.missing) == ("b", True)
    (none,) = choose([*scores[:3], (scores[3][0], lost)]).values()
    assert none.recipe is None


def test_the_chosen_cells_are_those_of_the_chosen_recipes() -> None:
    """All runs of an arm, under one name of a recipe."""
    scores = [(cell(arm, run, recipe), float(recipe == arm)) for arm in "ab" for recipe in "ab" for run in (1, 2)]
    found = chosen_cells(choose(scores), [one for one, _ in scores])
    assert {(new.arm, new.run, new.recipe): old.recipe for new, old in found.items()} == {
        ("a", 1, CHOSEN): "b",
        ("a", 2, CHOSEN): "b",
        ("b", 1, CHOSEN): "a",
        ("b", 2, CHOSEN): "a",
    }


def simulated(
    rho: float, runs: tuple[int, int], recipes: int, times: int, *, others: bool = False
) -> tuple[float, float, float]:
    """Two arms that are alike, each under the recipe with its best validation score.

    The luck of a run under a recipe has a standard deviation of 1; its part ``rho`` shows on validation and on the
    test, the rest of what validation sees is noise. What a draw of rows does shows under all recipes alike. With
    ``others`` the recipe of each run is chosen by the other runs.

    Returns:
        Mean difference of the arms on the test, in standard deviations of the luck, and the share of tests at 5% that
        find one, on either side and on the side of the first arm.
    """
    from scipy import stats

    rng = np.random.default_rng(0)
    means, variances = [], []
    for k in runs:
        luck, noise = rng.normal(size=(2, times, k, recipes))
        draw = rng.normal(0, 0.5, (times, k, 1))
        validation = draw + rho * luck + math.sqrt(1 - rho**2) * noise
        means_of = validation.sum(1, keepdims=True) - validation if others else validation.sum(1, keepdims=True)
        best = np.broadcast_to(means_of.argmax(-1)[..., None], (times, k, 1))
        test = np.take_along_axis(draw + luck, best, axis=2)[..., 0]
        means.append(test.mean(1))
        variances.append(test.var(1, ddof=1) / k)
    items = 0.5
    effect = means[0] - means[1] + rng.normal(0, items, times)
    variance = variances[0] + variances[1] + items**2
    df = variance**2 / (variances[0] ** 2 / (runs[0] - 1) + variances[1] ** 2 / (runs[1] - 1) + items**4 / 500)
    found = 2 * stats.t.sf(np.abs(effect) / np.sqrt(variance), df) < 0.05
    return float(effect.mean()), float(found.mean()), float((found & (effect > 0)).mean())


@pytest.mark.parametrize(("recipes", "gain"), [(4, 0.25), (16, 0.40)])
def test_choosing_on_validation_costs_no_false_verdicts(recipes: int, gain: float) -> None:
    """Where validation says nothing of a run's luck there is no gain; where it says all, what few runs gain over many
    stays under ``gain`` standard deviations, and the test still errs as rarely as it says."""
    pytest.importorskip("scipy")
    effect, errors, _ = simulated(0.0, (3, 7), recipes, 20_000)
    assert abs(effect) < 0.02
    assert errors < 0.065
    effect, errors, better = simulated(1.0, (3, 7), recipes, 20_000)
    assert 0 < effect < gain
    assert errors < 0.05
    assert better < 0.045
    assert abs(simulated(1.0, (5, 5), recipes, 20_000)[0]) < 0.02


def test_choosing_each_run_by_the_others_errs_more() -> None:
    """It has no gain, but the runs depend on each other, and equal arms are found different far too often."""
    pytest.importorskip("scipy")
    effect, errors, _ = simulated(1.0, (3, 7), 16, 20_000, others=True)
    assert abs(effect) < 0.02
    assert errors > 0.1
