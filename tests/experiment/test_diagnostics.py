"""Diagnostics of selections: lengths, scores, verbs, diversity and categories, each against a count by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import Comparison, Context, Example, Judgement, PairwiseJudge, Pool
from selkit.experiment.document.diagnostics import by_category, diagnostics_of, diversity, scoring_costs
from selkit.experiment.document.instructions import METHOD, WITHOUT, kind_of, leading_verbs, method
from selkit.experiment.document.profiles import (
    bin_edges,
    counted,
    profile,
    score_profile,
    shifted,
    shortened,
    word_counts,
)
from selkit.experiment.judging.judging import Judged
from selkit.experiment.selection.selecting import Chosen
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.store import Draft, Key, Store

TEXT = st.text(st.sampled_from("ab \t\n\u00a0\u2003é"), max_size=12)


@dataclass
class Silent(PairwiseJudge):
    """Never asked here."""

    name = "silent"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Nothing."""
        return []


def pool_of(*texts: tuple[str, str]) -> Pool:
    """A pool of instructions and responses."""
    return Pool.from_examples(Example(f"r{i}", ask, "", answer) for i, (ask, answer) in enumerate(texts))


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXT))
def test_words_are_those_of_split(texts: list[str]) -> None:
    """As Python counts them, whatever the white space."""
    column = pa.chunked_array([pa.array(texts, pa.string())])
    assert word_counts(column).to_pylist() == [len(text.split()) for text in texts]


def test_the_shift_of_a_selection_is_in_words_and_in_deviations_of_the_pool() -> None:
    """Responses of 1, 2, 3 and 6 words; the two longest are chosen: 4.5 - 3 words, of a deviation of sqrt(3.5)."""
    pool = pool_of(("Say a", "a"), ("Say b", "a b"), ("Say c", "a b c"), ("Say d", "a b c d e f"))
    found = shifted(profile(pool.take(["r3", "r2"]), 5), profile(pool, 5))
    assert found["rows"] == 2
    assert found["words"]["response"]["mean"] == 4.5
    assert found["shift"]["response"] == pytest.approx({"words": 1.5, "deviations": 1.5 / 3.5**0.5}, abs=1e-6)
    assert found["shift"]["instruction"] == {"words": 0.0, "deviations": None}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-40, 400).map(float), min_size=1, max_size=80))
def test_a_histogram_counts_every_score_once(values: list[float]) -> None:
    """Bins of one width, at most 30 of them, with what lies outside counted beside them."""
    scores = np.array(values)
    edges = bin_edges(scores)
    found = counted(scores, edges)
    assert sum(found["counts"]) + found["below"] + found["above"] == len(values)
    assert len(found["counts"]) <= 30
    assert np.allclose(np.diff(edges), edges[1] - edges[0])


def test_whole_numbers_have_bins_of_their_own() -> None:
    """Grades of 1 to 5 give five bins, none of them empty for being between two grades."""
    scores = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0])
    assert counted(scores, bin_edges(scores)) == {"counts": [1, 2, 1, 1, 2], "below": 0, "above": 0}


def test_the_ends_of_a_score_name_rows_with_their_texts() -> None:
    """The highest and the lowest five, equal scores by id, rows without a finite score left out."""
    pool = pool_of(*((f"Say {i}", "word " * 200) for i in range(12)))
    scores = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 7.0, None, float("inf")]
    found = score_profile(pa.table({"id": pool.ids, "score": pa.array(scores, pa.float64())}), pool)
    assert [row["id"] for row in found["highest"]] == ["r7", "r8", "r9", "r6", "r5"]
    assert [row["id"] for row in found["lowest"]] == ["r0", "r1", "r2", "r3", "r4"]
    assert found["scored"] == 10
    assert found["highest"][0]["instruction"] == "Say 7"
    assert len(found["highest"][0]["response"]) <= 200
    assert found["highest"][0]["response"].endswith("…")


def test_shortened_texts_stand_on_one_line() -> None:
    """White space is one space, and only what is too long is cut."""
    assert shortened(" a\n\tb ", 3) == "a b"
    assert shortened("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("instruction", "kind"),
    [
        ("Write a poem.", ("imperative", "write")),
        ("please, Kindly rewrite it", ("imperative", "rewrite")),
        ("1. List three", ("imperative", "list")),
        ("What's new?", ("question", "")),
        ("Whats new?", ("question", "")),
        ("Can you help?", ("question", "")),
        ("How do magnets work", ("question", "")),
        ("Given a list, sort it", ("other", "")),
        ("The following", ("other", "")),
        ("", ("other", "")),
        ("写一首诗", ("other", "")),
    ],
)
def test_the_kind_of_an_instruction(instruction: str, kind: tuple[str, str]) -> None:
    """The leading verb in its base form, a question, or other."""
    pytest.importorskip("lemminflect")
    assert kind_of(instruction) == kind


def test_verbs_are_counted_and_the_rest_is_not_lost() -> None:
    """The commonest first; kinds sum to the instructions."""
    pytest.importorskip("lemminflect")
    found = leading_verbs(["Sort it", "write", "Write on", "Say a", "Why?", "The end"], 2)
    assert found == {"verbs": [["write", 2], ["say", 1]], "distinct": 3, "imperative": 4, "question": 1, "other": 1}
    assert method() != WITHOUT


def test_costs_of_scoring_are_per_thousand_rows(store: Store) -> None:
    """What the ledger says of the pass, over the rows of the pool; memory is no sum and is left out."""

    def make(draft: Draft) -> None:
        draft.spend("tokens.in", 90.0, "engine")
        draft.spend("dollars", 0.06, "price list")

    key = store.obtain(Key("scores", "grader"), make).digest
    scored = {"pool": "p", "scorer": "grader", "parameters": {"model": "m"}, "key": key, "rows": 30, "edges": []}
    (row,) = scoring_costs(store, [scored])
    assert (row["scorer"], row["parameters"]) == ("grader", {"model": "m"})
    assert (row["pool"], row["scorer"], row["rows"]) == ("p", "grader", 30)
    assert row["per_1000"]["tokens.in"] == 3000
    assert row["per_1000"]["dollars"] == pytest.approx(2.0)
    assert not [name for name in row["per_1000"] if name.startswith("peak_")]


def test_without_the_dictionary_there_are_no_verbs_and_the_report_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is counted as 'other' for want of a package."""
    monkeypatch.setattr("selkit.experiment.document.instructions.package_version", lambda package: None)
    assert leading_verbs(["Write"], 3) is None
    assert method() == WITHOUT
    assert "{version}" in METHOD


def judged(arm: str, scores: dict[str, float | None], run: int = 1) -> Judged:
    """A cell of which every comparison has this score in both orders; None has no verdict."""
    comparisons = tuple(Comparison(item, "p", "x", "y") for item in scores)
    passes = []
    for one in comparisons:
        score = scores[one.id]
        for order in (one, one.swapped()):
            mine = score if order is one else None if score is None else 1 - score
            passes.append(Judgement(one.id, order.order, "ok", mine))  # type: ignore[arg-type]
    return Judged(Cell("pool", "20", arm, run), "set", Silent(), ANCHOR, comparisons, tuple(passes))


def prompts_of(categories: dict[str, str | None]) -> Any:
    """What is read of a judged test set."""
    prompts = {item: SimpleNamespace(category=category) for item, category in categories.items()}
    return SimpleNamespace(
        judges=[SimpleNamespace(endpoint="set")], prompts=prompts, conversations={item: item for item in prompts}
    )


def test_win_rates_by_category_pool_the_runs_as_in_table_4_of_car() -> None:
    """8 wins, 1 loss and 1 tie in writing score 1.7, as there; what has no category or no verdict is left out."""
    writing = {f"w{i}": 1.0 for i in range(8)} | {"w8": 0.0, "w9": 0.5}
    maths: dict[str, float | None] = {"m0": 0.5, "m1": 0.75, "m2": None, "x": 1.0}
    categories = dict.fromkeys(writing, "Writing") | dict.fromkeys(("m0", "m1", "m2"), "Math") | {"x": None}
    runs = [judged("car", {**writing, **maths}), judged("car", {"m0": 0.0}, run=2)]
    found = by_category(runs, [prompts_of(categories)])
    place = {"pool": "pool", "budget": "20", "recipe": "", "model": "", "testset": "set", "arm": "car"}
    assert found == [
        {**place, "category": "Writing", "n": 10, "win": 8, "tie": 1, "lose": 1, "win_rate": 85.0, "ws": 1.7},
        {
            **place,
            "category": "Math",
            "n": 3,
            "win": 1,
            "tie": 1,
            "lose": 1,
            "win_rate": pytest.approx(41.666667),
            "ws": 1,
        },
    ]


def test_a_test_set_of_one_category_has_no_table() -> None:
    """It would repeat the win rates."""
    assert by_category([judged("car", {"a": 1.0})], [prompts_of({"a": "only"})]) == []


def test_what_diversity_changed_comes_from_the_selectors_that_say_it() -> None:
    """No change is news too; a selector that says nothing has no row."""
    facts = {"rows_changed_by_diversity": 0, "clusters": 7, "other": 1}
    cells = [Cell("pool", "20", "car", 1), Cell("pool", "20", "random", 1)]
    chosen = [
        Chosen(cell, ("a", "b"), found, Path(), "", "")
        for cell, found in zip(cells, [facts, {"pool_rows": 9}], strict=True)
    ]
    (row,) = diversity(chosen)
    assert (row["arm"], row["rows"], row["changed"], row["facts"]) == ("car", 2, 0, {"clusters": 7})


@pytest.mark.slow
def test_diagnostics_of_an_experiment_are_stored_and_the_same_again(tmp_path: Path) -> None:
    """The longest rows are longer than the pool, their scores lie at its upper end, and a second call makes nothing."""
    pytest.importorskip("torch")
    from selkit.experiment import parse_spec, plan

    spec = {
        "name": "tiny",
        "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 1},
        "selectors": ["random", {"name": "longest", "parameters": {"unit": "words"}}],
        "budgets": [20],
        "runs": {"default": 1, "random": 1},
        "testsets": {"planted": {"prompts": 4}},
    }
    store = Store(tmp_path / "store")
    planned = plan(parse_spec(spec), store)
    found, keys = diagnostics_of(planned.experiment, planned.chosen, [])
    again, same = diagnostics_of(planned.experiment, planned.chosen, [])
    assert (found, keys) == (again, same)
    assert {artifact.digest for artifact in store.artifacts(stage="diagnostics")} == set(keys)
    arms = {row["arm"]: row for row in found["selections"]}
    assert set(arms) == {"random", "longest"}  # the anchor belongs to no arm
    assert arms["longest"]["shift"]["response"]["words"] > 3
    (scores,) = found["scores"]
    assert (scores["scorer"], scores["higher_is_better"], scores["scored"]) == ("longest", True, 120)
    (chosen,) = scores["selections"]
    assert sum(chosen["counts"]) + chosen["above"] == 20
    assert sum(chosen["counts"][: len(chosen["counts"]) // 4]) == 0
    words = {row.id: len(row.response.split()) for row in planned.experiment.pools["planted"]}
    assert [row["score"] for row in scores["highest"]] == sorted(map(float, words.values()), reverse=True)[:5]
