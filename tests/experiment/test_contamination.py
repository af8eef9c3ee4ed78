"""Test-set contamination against a brute-force reference, and what a report says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import Example, Pool, Turn
from selkit.experiment.contamination.ngrams import WORDS, ItemText, matches, passages_of, words_of
from selkit.experiment.contamination.shared import ItemSource, Shared, shared_with
from selkit.report.contamination import contamination_section
from selkit.store import Store

WORD = st.sampled_from(["a", "b", "B,", "(a)", "c\n", "_d"])
TEXT = st.lists(WORD, max_size=18).map(" ".join)
ITEM = st.builds(ItemText, TEXT, st.lists(TEXT, max_size=2).map(tuple))
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def plain(text: str) -> list[str]:
    """The words of a text, character by character."""
    return "".join(c for c in text.lower() if c.isalnum() or c.isspace()).split()


def runs(text: str) -> set[tuple[str, ...]]:
    """Every run of 13 words."""
    words = plain(text)
    return {tuple(words[start : start + 13]) for start in range(len(words) - 12)}


def shares(item: ItemText, texts: Sequence[str]) -> bool:
    """Whether an item and a row's texts match, read straight from the rule."""
    long = any(runs(own) & runs(text) for own in (item.asked, *item.others) for text in texts)
    asked = plain(item.asked)
    return long or (0 < len(asked) < 13 and any(plain(text) == asked for text in texts))


@given(st.lists(ITEM, max_size=5), st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=6))
def test_matches_are_those_of_brute_force(items: list[ItemText], rows: list[list[str]]) -> None:
    """Exactly the pairs of item and row that the rule names, whatever is repeated and in whatever case."""
    passages = passages_of(items)
    named = [(f"r{number}", texts) for number, texts in enumerate(rows)]
    found = {(one.row, item) for one in matches(named, passages) for item in passages.items[one.passage]}
    assert found == {(row, i) for row, texts in named for i, item in enumerate(items) if shares(item, texts)}


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=8), st.lists(ITEM, min_size=1, max_size=3))
def test_batches_change_nothing(rows: list[list[str]], items: list[ItemText]) -> None:
    """Rows that are read a few at a time give what they give together, each passage once a row."""
    passages = passages_of(items)
    named = [(f"r{number}", texts) for number, texts in enumerate(rows)]
    together = list(matches(named, passages))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("selkit.experiment.contamination.ngrams._BATCH_WORDS", 5)
        assert list(matches(iter(named), passages)) == together
    assert len(set(together)) == len(together)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't  STOP!", ["dont", "stop"]),
        ("x_1 = f(2);\tend", ["x1", "f2", "end"]),
        ("Über – „Ärger“", ["über", "ärger"]),
        ("?!", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Small letters and digits; nothing else stays."""
    assert words_of(text) == words


def source(*items: ItemText) -> ItemSource:
    """A test set of these items, called t0, t1 and so on."""
    return ItemSource("set", str(items), lambda: [(f"t{number}", item) for number, item in enumerate(items)])


def pool() -> Pool:
    """A row for every place where a text can stand, and one that shares twelve words only."""
    return Pool.from_examples(
        [
            Example("asked", f"Say: {LONG.upper()}!", response="no"),
            Example("split", LONG.rpartition(" ")[0], "thirteen", "no"),
            Example("answer", "Count.", response=f"{LONG}, fourteen"),
            Example("earlier", "And?", response="no", history=(Turn("user", "hi"), Turn("assistant", LONG))),
            Example("twelve", LONG.rpartition(" ")[0], response=LONG.partition(" ")[2]),
            Example("whole", "What is it?", response="no"),
            Example("part", "What is it, then?", response="no"),
        ]
    )


def test_every_text_of_a_row_counts_and_no_run_goes_across(store: Store) -> None:
    """Question with input, response and earlier turns; twelve words here and twelve there are no thirteen."""
    items = (ItemText("Nothing", (LONG,)), ItemText("what IS it"), ItemText("Unheard of"), ItemText("x", ("hi", "no")))
    shared = shared_with(pool(), [source(*items)], store)["set"]
    assert shared.size == 4
    assert set(shared.rows) == {"asked", "split", "answer", "earlier", "whole"}
    assert shared.within(["twelve", "part"]) == {"items": 0, "of": 4, "share": 0.0, "rows": 0, "ids": []}
    assert shared.within(["asked", "split", "whole"]) == {
        "items": 2,
        "of": 4,
        "share": 0.5,
        "rows": 3,
        "ids": ["t0", "t1"],
    }


def test_a_pool_is_read_once_for_all_test_sets(store: Store) -> None:
    """The second time, and for other selections, nothing is read; another test set is another question."""
    reads = []

    def read(name: str) -> ItemSource:
        return ItemSource(name, name, lambda: reads.append(name) or [("t", ItemText(LONG))])  # type: ignore[func-returns-value]

    both = [read("one"), read("other")]
    first = shared_with(pool(), both, store)
    assert shared_with(pool(), both, store) == first
    assert reads == ["one", "other"]
    assert first["one"] == first["other"]
    shared_with(pool(), [read("third")], store)
    assert reads[2:] == ["third"]


def test_a_text_that_all_items_have_takes_one_passage_a_row() -> None:
    """A template that stands in every item and every row is stored once a row, not once for every pair."""
    passages = passages_of([ItemText(f"{LONG} {LONG} {number}") for number in range(50)])
    found = list(matches(((str(row), [f"{LONG} {LONG}"]) for row in range(50)), passages))
    assert len(found) == 50
    assert passages.items[found[0].passage] == tuple(range(50))


def document(**counts: Any) -> dict[str, Any]:
    """A document with the contamination of two runs of one arm."""
    place = {"pool": "p", "budget": "10", "arm": "longest", "testset": "koala", "of": 4}
    rows = [
        {**place, "run": 1, "items": 2, "share": 0.5, "rows": 3, "ids": ["a", "b"]},
        {**place, "run": 2, "items": 1, "share": 0.25, "rows": 2, "ids": ["a"]},
        {**place, "arm": "random", "run": 1, "items": 0, "share": 0.0, "rows": 0, "ids": []},
    ]
    whole = [{"pool": "p", "testset": "koala", "items": 3, "of": 4, "share": 0.75, "rows": 9}]
    return {"contamination": {"rule": "The rule.", "pools": whole, "selections": rows, **counts}}


def test_the_report_shows_arms_that_share_text() -> None:
    """One line per arm and test set with any, its runs averaged, beside the whole pool."""
    found = contamination_section(document())
    assert found is not None
    assert found.rows == [["p", "10", "longest", "koala", "1.5 of 4 (37.5%)", "2.5", "3 of 4 (75.0%)"]]
    assert found.note == "The rule. Means over the runs of an arm."


def test_the_report_says_in_one_line_that_there_is_none() -> None:
    """Without a match there is no table."""
    clean = [{**row, "items": 0, "share": 0.0, "rows": 0} for row in document()["contamination"]["selections"]]
    found = contamination_section(document(selections=clean))
    assert found is not None
    assert not found.rows
    assert found.note == "No selection shares text with a test item. The rule."
    assert contamination_section(document(selections=[])) is None


@pytest.mark.slow
def test_an_experiment_counts_for_every_selection(tmp_path: Path, store: Store) -> None:
    """A test prompt that was put into the pool is found in the selections that hold it, and in those alone."""
    pytest.importorskip("torch")
    from selkit.experiment import parse_spec, plan
    from selkit.experiment.document.document import contaminated

    rows = [{"id": f"r{n}", "instruction": f"Write about {n}.", "output": "word " * (n + 1)} for n in range(10)]
    rows[9]["instruction"] = f"{LONG} fourteen"
    prompts = [{"id": "a", "instruction": LONG, "output": "x"}, {"id": "b", "instruction": "Nothing.", "output": "y"}]
    for name, lines in (("pool", rows), ("prompts", prompts)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in lines), encoding="utf-8")
    spec = {
        "name": "x",
        "pools": str(tmp_path / "pool.jsonl"),
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 1},
        "selectors": ["random", "longest", "shortest", "full"],
        "budgets": [2],
        "runs": {"random": 1, "default": 1},
        "testsets": {str(tmp_path / "prompts.jsonl"): {}},
    }
    planned = plan(parse_spec(spec), store)
    found = contaminated(planned.experiment, list(planned.chosen.values()))
    counts = {row["arm"]: (row["items"], row["rows"], row["ids"]) for row in found["selections"]}
    assert counts["longest"] == counts["full"] == (1, 1, ["a"])
    assert counts["shortest"] == (0, 0, [])
    assert found["pools"] == [{"pool": "pool", "testset": "prompts", "items": 1, "of": 2, "share": 0.5, "rows": 1}]


def test_what_is_shared_counts_once() -> None:
    """An item in two rows is one item, and a row with two items is one row."""
    shared = Shared(3, [["a"], ["a", "b"]], {"r": [0, 1], "s": [0]})
    assert shared.within(["r", "s", "s", "t"])["items"] == 2
    assert shared.within(["r", "s", "s", "t"])["rows"] == 2
    assert WORDS == 13
