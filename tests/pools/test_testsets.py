"""Test sets are found and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selkit.api import DataError, Turn
from selkit.pools import load_testset, planted_pool
from selkit.pools.testsets import SIZES, is_testset


def test_fields_of_a_prompt(write_lines: Any) -> None:
    """Instruction, input, reference, category and earlier turns are read by the usual names."""
    rows = [
        {"id": 5, "instruction": "a", "input": "b", "reference": "c", "category": "d"},
        {"prompt": "p", "output": "o", "history": [["x", "y"]]},
        {"turns": ["one", "two"], "reference": ["first", "second"]},
    ]
    first, second, third = load_testset(write_lines(rows)).prompts
    assert (first.id, first.prompt.question, first.prompt.response) == ("5", "a\nb", "")
    assert (first.reference, first.category) == ("c", "d")
    assert (second.prompt.instruction, second.reference, second.category) == ("p", "o", None)
    assert second.prompt.history == (Turn("user", "x"), Turn("assistant", "y"))
    assert (third.prompt.instruction, third.turns, third.reference) == ("one", ("two",), "first")
    assert len({first.id, second.id, third.id}) == 3


def test_digest_covers_what_is_shown(write_lines: Any) -> None:
    """The digest changes with a prompt, a reference or a turn, and not with a column that nobody is shown."""
    row = {"id": "1", "instruction": "a"}
    digests = {
        load_testset(write_lines([row | more])).digest
        for more in ({}, {"reference": "r"}, {"input": "i"}, {"category": "c"}, {"history": [["u", "v"]]}, {"id": "2"})
    }
    assert len(digests) == 6
    assert load_testset(write_lines([row | {"note": 1}])).digest in digests


def test_repeated_ids_follow_the_rule_of_pools(write_lines: Any) -> None:
    """Ids that come twice are replaced by digests of the text; exact duplicates are numbered."""
    ids = [p.id for p in load_testset(write_lines([{"id": "x", "instruction": t} for t in "aab"])).prompts]
    assert len(set(ids)) == 3
    assert ids[1] == f"{ids[0]}-2"


def test_sample_is_seeded_and_in_order(write_lines: Any) -> None:
    """A sample is the same for the same seed, keeps the order, and never has more than there are."""
    testset = load_testset(write_lines([{"id": str(i), "instruction": "q"} for i in range(20)]))
    ids = [int(p.id) for p in testset.sample(5, seed=1).prompts]
    assert ids == sorted(ids)
    assert testset.sample(5, seed=1).digest == testset.sample(5, seed=1).digest
    assert testset.sample(50) is testset


def test_rows_without_a_prompt_are_dropped_and_bad_lines_stop(
    write_lines: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row without a prompt is dropped with its reason; a bad line stops with its number; no prompt is an error."""
    testset = load_testset(write_lines([{"instruction": "a"}, {"instruction": ""}, {"instruction": 3}]))
    assert [(row.reason, row.line) for row in testset.dropped] == [
        ("the instruction is empty", 2),
        ("the instruction is a number, not text", 3),
    ]
    assert "2 rows left out" in capsys.readouterr().err
    with pytest.raises(DataError, match="line 2, is not valid JSON"):
        load_testset(write_lines([{"instruction": "a"}, "{"]))
    with pytest.raises(DataError, match="holds no prompt"):
        load_testset(write_lines([]))


def test_last_prompt_without_a_line_end(tmp_path: Path) -> None:
    """The last prompt counts although no line end follows it."""
    (tmp_path / "t.jsonl").write_text('{"instruction": "a"}\n{"instruction": "b"}')
    assert len(load_testset(tmp_path / "t.jsonl")) == 2


def test_names_are_looked_up(write_lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is a file in the folder SELKIT_TESTSETS; one that is not there says where to put it."""
    path = write_lines([{"instruction": "a"}], name="mine.jsonl")
    monkeypatch.setenv("SELKIT_TESTSETS", str(path.parent))
    assert load_testset("mine").name == "mine"
    monkeypatch.delenv("SELKIT_TESTSETS")
    monkeypatch.delenv("SELKIT_SHARED_DATA", raising=False)
    with pytest.raises(DataError, match=r"vicuna\.jsonl .*SELKIT_TESTSETS"):
        load_testset("vicuna")
    with pytest.raises(DataError, match="no test set 'other': check the path"):
        load_testset("other")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("vicunna", "vicuna"), ("self_instruct", "self-instruct"), ("plantd", "planted"), ("min", "mine")],
)
def test_a_mistyped_name_gets_the_nearest_one(
    typed: str, meant: str, write_lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the published sets, the planted one, and what is in the folders of test sets."""
    monkeypatch.setenv("SELKIT_TESTSETS", str(write_lines([{"instruction": "a"}], name="mine.jsonl").parent))
    with pytest.raises(DataError, match=rf"no test set '{typed}' \(did you mean '{meant}'\?\): check the path"):
        load_testset(typed)


def test_planted_test_set() -> None:
    """'planted' has references, and shares no prompt with the planted pool."""
    testset = load_testset("planted")
    assert len(testset) == 200
    assert all(p.reference and not p.prompt.response for p in testset.prompts)
    assert not {p.prompt.question for p in testset.prompts} & {row.question for row in planted_pool(4000)}


def test_published_test_sets(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every published test set is read whole."""
    monkeypatch.setenv("SELKIT_SHARED_DATA", str(shared_data))
    sets = {name: load_testset(name) for name in SIZES}
    assert {name: len(testset) for name, testset in sets.items()} == SIZES
    assert [testset.departures for testset in sets.values()] == [[]] * len(SIZES)
    assert all(p.reference for name in ("coachlm", "self-instruct") for p in sets[name].prompts)
    assert all(len(p.turns) == 1 for p in sets["mt-bench"].prompts)


def test_a_published_name_with_other_prompts_is_noted(write_lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer prompts, or other words in as many, are a note and no error; a part drawn by the user is neither."""
    rows = [{"id": str(i), "instruction": f"say {i}"} for i in range(80)]
    few = load_testset(write_lines(rows[:79], name="vicuna.jsonl"))
    assert few.departures == ["79 prompts, and 80 are published"]
    other = load_testset(write_lines(rows, name="vicuna.jsonl"))
    assert other.departures == ["its prompts are not the declared ones"]
    assert other.sample(10).departures == []
    said = capsys.readouterr().err
    assert "vicuna: 79 prompts, and 80 are published" in said
    assert "vicuna: its prompts are not the declared ones" in said


def test_a_folder_of_data_comes_first(write_lines: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names are looked up in the named folder alone, in its testsets/, and AlpacaEval's where it is published."""
    write_lines([{"instruction": "a"}], name="mine.jsonl")
    data = tmp_path / "data"
    for place in (data / "testsets" / "yours.jsonl", data / "alpaca-eval" / "eval-set.jsonl"):
        place.parent.mkdir(parents=True)
        place.write_text('{"instruction": "b", "output": "c"}\n', encoding="utf-8")
    monkeypatch.setenv("SELKIT_TESTSETS", str(tmp_path))
    assert load_testset("yours", data=data).prompts[0].prompt.instruction == "b"
    alpaca = load_testset("alpaca-eval", data=data)
    assert (alpaca.name, alpaca.prompts[0].reference) == ("alpaca-eval", "c")
    assert is_testset("yours", data)
    assert not is_testset("mine", data)
    with pytest.raises(DataError, match="no test set 'mine'"):
        load_testset("mine", data=data)
