"""What is wrong with a file is counted, named, and said in one sentence, with the exit code of its kind."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def changed(rows: list[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    """Rows whose third and fifth are changed."""
    return [{**row, **values} if number in (2, 4) else row for number, row in enumerate(rows)]


def without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Rows without some columns."""
    return [{key: value for key, value in row.items() if key not in names} for row in rows]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: changed(rows, preference=2.5), "2 of 120 rows have a preference that is not from 1"),
        (lambda rows: changed(rows, preference=0.5), "namely row 3 (0.5), 5 (0.5)"),
        (lambda rows: changed(rows, preference=-1), "row 3 (-1), 5 (-1)"),
        (lambda rows: changed(rows, preference="2"), "row 3 (2), 5 (2)"),
        (lambda rows: changed(rows, preference=True), "row 3 (True), 5 (True)"),
        (lambda rows: changed(rows, preference=float("inf")), "row 3 (inf), 5 (inf)"),
        (lambda rows: changed(rows, index=1), "are about instructions that"),
        (lambda rows: changed(rows, index=1), "row 3 (index 1), 5 (index 1)"),
        (lambda rows: changed(rows, instruction="Never asked."), "row 3 ('Never asked.'), 5 ('Never asked.')"),
        (lambda rows: changed(rows, index=None), "have neither an instruction nor an index, namely row 3, 5"),
        (lambda rows: changed(rows, index="two"), "have neither an instruction nor an index"),
        (lambda rows: changed(rows, output_2=7), "have an output_2 that is no text"),
        (lambda rows: [*rows, *rows[:5]], "5 of 125 rows repeat a comparison, namely row 121, 122, 123, ...: keep one"),
        (lambda rows: without(rows, "preference"), "has no column 'preference': annotations have"),
        (lambda rows: without(rows, "output_2"), "has no column 'output_2'"),
        (lambda rows: without(rows, "index"), "has no column 'instruction' or 'index'"),
        (lambda rows: changed(rows, preference=None)[2:3], "no annotation of 'm' has a preference"),
    ],
)
def test_wrong_rows(world: Any, direct: Callable[..., Any], change: Callable[..., Any], says: str) -> None:
    """Exit code 4, one line, no traceback, nothing on stdout."""
    path = world.write("m.jsonl", change(world.rows("m")))
    done = direct(path, options=("--eval-set", world.write_eval_set()))
    assert (done.code, done.out) == (4, "")
    assert says in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("empty.json", b"[]", "is empty"),
        ("blank.jsonl", b"\n \n", "is empty"),
        ("torn.jsonl", b'{"index": 0', "line 1, is not valid JSON"),
        ("torn.json", b'[{"index": 0}', "is not valid JSON"),
        ("texts.json", b'["a"]', "row 1, is not a JSON object"),
        ("latin.jsonl", b'{"a": "\xe9"}', "is not valid UTF-8"),
        ("torn.jsonl.gz", gzip.compress(b"{}" * 100, mtime=0)[:20], "cannot read"),
        ("deep.json", b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_unreadable_files(tmp_path: Path, direct: Callable[..., Any], name: str, content: bytes, says: str) -> None:
    """The file is named, with its line where it has lines."""
    (tmp_path / name).write_bytes(content)
    done = direct(tmp_path / name)
    assert (done.code, done.out) == (4, "")
    assert says in done.err
    assert name in done.err


def test_missing_files(world: Any, direct: Callable[..., Any]) -> None:
    """No annotations, no eval set, no outputs of the baseline."""
    path = world.write("m.jsonl", world.rows("m"))
    assert "there is no file" in direct(world.folder / "nowhere.jsonl").err
    assert "there is no file" in direct(path, options=("--eval-set", "nowhere.json")).err
    done = direct(path)
    assert done.code == 4
    assert "120 of 120 rows have no output_1, and no eval set is given, namely row 1, 2, 3, ...: give" in done.err
    bare = world.write("bare.json", without(world.eval_set, "index"))
    done = direct(path, options=("--eval-set", bare))
    assert (done.code, "120 of 120 rows have an index alone, and" in done.err) == (4, True)
    part = world.write("part.json", [{**row, "output": None} for row in world.eval_set[:1]] + world.eval_set[1:])
    assert "1 of 120 rows have no output_1, and" in direct(path, options=("--eval-set", part)).err


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"output": "a"}], "row 1: outputs need a text 'instruction'"),
        ([{"instruction": "a", "output": 3}], "row 1: outputs need a text"),
        ([{"instruction": "a", "output": "b"}] * 2, "has 1 instructions twice, by their instruction ('a')"),
        (
            [{"instruction": "a", "output": "b", "index": 4}, {"instruction": "c", "output": "b", "index": 4}],
            "has 1 instructions twice, by their index (4)",
        ),
    ],
)
def test_wrong_eval_sets(world: Any, direct: Callable[..., Any], rows: Any, says: str) -> None:
    """A row that is none, and instructions that come twice."""
    path = world.write("m.jsonl", world.rows("m"))
    done = direct(path, options=("--eval-set", world.write("set.json", rows)))
    assert (done.code, done.out) == (4, "")
    assert says in done.err


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_rows_without_preference_are_counted_and_named(world: Any, direct: Callable[..., Any], missing: Any) -> None:
    """Null, NaN and an output that is missing leave a row out; nothing takes their place."""
    rows = world.rows("m")
    rows[2]["preference"] = missing
    rows[5]["output_2"] = None
    del rows[7]["preference"]
    eval_set = world.write_eval_set()
    done = direct(world.write("m.jsonl", rows), options=("--eval-set", eval_set))
    (one,) = done.models
    assert (one["n"], one["left_out"]) == (117, {"no preference": 2, "no output": 1})
    assert "m: 2 annotations have no preference and were left out (m.jsonl, row 3, m.jsonl, row 8)" in done.err
    kept = [row for number, row in enumerate(rows) if number not in (2, 5, 7)]
    (same,) = direct(world.write("kept.jsonl", kept), options=("--eval-set", eval_set)).models
    assert same == {**one, "left_out": {}}


def test_a_preference_of_zero_is_a_draw(world: Any, direct: Callable[..., Any]) -> None:
    """As AlpacaEval has it; a note says so."""
    rows = changed(world.rows("m"), preference=0)
    done = direct(world.write("m.jsonl", rows), options=("--eval-set", world.write_eval_set()))
    assert done.models[0]["n_draws"] == 2
    assert "2 preferences are 0, which AlpacaEval counts as a draw" in done.err


def test_two_models_in_a_file_and_one_in_two(world: Any, direct: Callable[..., Any]) -> None:
    """Rows go by generator_2, whatever file they stand in; without it the file's name is the model's."""
    one, two = world.rows("one", seed=1), world.rows("two", seed=2)
    options = ("--eval-set", world.write_eval_set())
    mixed = direct(world.write("mixed.jsonl", [*two, *one]), options=options).models
    halves = direct(world.write("a.jsonl", two[:50]), world.write("b.jsonl", [*two[50:], *one]), options=options).models
    assert [model["name"] for model in mixed] == ["two", "one"]
    assert mixed == halves
    packed = world.folder / "my-model.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in without(one, "generator_2")).encode()))
    (named,) = direct(packed, options=options).models
    assert named == {**mixed[1], "name": "my-model"}


def test_the_instruction_counts_where_an_index_is_wrong(world: Any, direct: Callable[..., Any]) -> None:
    """A row number that passes for an index does no harm beside the instruction's text."""
    right = [
        {**row, "instruction": base["instruction"]} for row, base in zip(world.rows("m"), world.eval_set, strict=True)
    ]
    wrong = [{**row, "index": 2 * ((number + 1) % 120)} for number, row in enumerate(right)]
    options = ("--eval-set", world.write_eval_set())
    told = direct(world.write("wrong.jsonl", wrong), options=options)
    assert told.models == direct(world.write("right.jsonl", right), options=options).models
    assert "120 rows have another index than their instruction in the eval set" in told.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--mode", "official"), 4, "needs its file df_gamed.csv, and no folder is named: get it from"),
        (("--mode", "official", "--lc-assets", "."), 4, "has no file df_gamed.csv"),
        (("--mode", "fast"), 2, "Invalid value for '--mode'"),
        (("--mode", "official", "--difficulty", "joint"), 2, "belong to the direct mode"),
        (("--mode", "official", "--baselines", "drawn"), 2, "belong to the direct mode"),
        (("--bootstraps", "1"), 2, "1 bootstraps make no interval"),
        (("--leaderboard", "{folder}/m.jsonl"), 4, "is no leaderboard"),
        (("-o", "{folder}"), 4, "holds other files"),
        (("-o", "{folder}/m.jsonl"), 4, "is a file: name a folder"),
    ],
)
def test_wrong_options(
    world: Any, direct: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, options: Any, code: int, says: str
) -> None:
    """Refused before anything is computed."""
    monkeypatch.delenv("SELKIT_LC_ASSETS", raising=False)
    path = world.write("m.jsonl", world.rows("m"))
    named = tuple(word.format(folder=world.folder) for word in options)
    done = direct(path, options=("--eval-set", world.write_eval_set(), *named))
    assert (done.code, done.out) == (code, "")
    assert says in done.err


def test_the_official_mode_is_about_one_baseline_and_known_instructions(
    world: Any, evaluate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several baselines, unknown difficulties and rows without index are refused; another baseline is told."""
    text = "preference,index,std_delta_len,instruction_difficulty,not_gamed_baseline,model\n"
    gamed = "".join(f"0.{3 + i % 5},{2 * i},{i % 7 - 3},{i % 4 - 1.5},False,x\n" for i in range(120))
    (world.folder / "df_gamed.csv").write_text(text + gamed)
    monkeypatch.setenv("SELKIT_LC_ASSETS", str(world.folder))
    eval_set = ("--eval-set", world.write_eval_set(), "--bootstraps", 20, "--json")
    rows = world.rows("m")
    done = evaluate("--annotations", world.write("m.jsonl", rows), *eval_set)
    assert done.code == 0
    assert "are about the baseline gpt4_1106_preview, and these annotations are against base" in done.err
    both = world.write("both.jsonl", [*rows, *world.rows("m", baseline="other")])
    done = evaluate("--annotations", both, *eval_set)
    assert (done.code, "'m' was compared with 2 baselines (base, other)" in done.err) == (2, True)
    (world.folder / "df_gamed.csv").write_text(text + gamed.partition("\n")[2])
    done = evaluate("--annotations", world.folder / "m.jsonl", *eval_set)
    assert (done.code, "no difficulty for 1 instructions of 'm' (index 0)" in done.err) == (4, True)
    bare = [{**row, "instruction": f"Do {i}.", "output_1": "x", "index": None} for i, row in enumerate(rows)]
    done = evaluate("--annotations", world.write("bare.jsonl", bare), "--json")
    assert (done.code, "120 annotations of 'm' have an instruction and no index" in done.err) == (4, True)


def test_the_baseline_against_itself_is_50_in_official_mode(world: Any, evaluate: Callable[..., Any]) -> None:
    """By construction, as AlpacaEval has it."""
    (world.folder / "df_gamed.csv").write_text(
        "preference,index,std_delta_len,instruction_difficulty\n"
        + "".join(f"0.{3 + i % 5},{2 * i},{i % 7 - 3},{i % 4 - 1.5}\n" for i in range(120))
    )
    rows = [
        {**row, "output_2": base["output"], "preference": 1.5}
        for row, base in zip(world.rows("base"), world.eval_set, strict=True)
    ]
    options = ("--eval-set", world.write_eval_set(), "--lc-assets", world.folder, "--bootstraps", 20, "--json")
    (one,) = evaluate("--annotations", world.write("m.jsonl", rows), *options).models
    assert (one["lc_win_rate"], one["lc_se"]) == (50, None)
    assert "by construction" in one["reason"]
