"""AlpacaEval's files are read and written: model outputs, leaderboards, the folder of results."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selkit.api import DataError
from selkit.evals.alpaca_eval import (
    Output,
    draw_outputs,
    read_annotations,
    read_eval_set,
    read_leaderboard,
    read_outputs,
    write_leaderboard,
    write_outputs,
)
from selkit.evals.alpaca_eval.leaderboard import COLUMNS
from selkit.evals.alpaca_eval.results import folder_name


def test_model_outputs_come_back(tmp_path: Path) -> None:
    """What is written is read again, also half a character; the file is AlpacaEval's."""
    outputs = [Output("a", "x\n", "m", None, "koala"), Output("b", "\ud800é", "m"), Output("c", "")]
    write_outputs(tmp_path / "model_outputs.json", outputs)
    assert read_outputs(tmp_path / "model_outputs.json") == outputs
    assert json.loads((tmp_path / "model_outputs.json").read_text())[0] == {
        "dataset": "koala", "instruction": "a", "output": "x\n", "generator": "m",
    }  # fmt: skip


def test_responses_of_generate_are_outputs(tmp_path: Path) -> None:
    """A responses.jsonl has prompt and response instead."""
    (tmp_path / "responses.jsonl").write_text('{"id": "1", "prompt": "Hi.", "response": "Hello."}\n')
    assert read_outputs(tmp_path / "responses.jsonl") == [Output("Hi.", "Hello.")]


def test_drawing_outputs_of_random_models() -> None:
    """Each instruction gets one of the models' answers, by seed, whatever the order of rows; the name stays."""
    runs = [[Output(f"i{k}", f"{name}{k}", name) for k in range(300)] for name in "abc"]
    drawn = draw_outputs(runs, seed=3)
    assert [row.instruction for row in drawn] == [f"i{k}" for k in range(300)]
    assert all(row.output == f"{row.generator}{row.instruction[1:]}" for row in drawn)
    assert min(Counter(row.generator for row in drawn).values()) > 75
    turned = draw_outputs([run[::-1] for run in runs], seed=3)
    assert sorted(turned, key=lambda row: int(row.instruction[1:])) == drawn
    assert draw_outputs(runs, seed=4) != drawn
    with pytest.raises(
        DataError, match=r"models 1 and 2 answered different instructions \(1 are in one alone, e.g. 'i0'"
    ):
        draw_outputs([runs[0], runs[1][1:]])
    with pytest.raises(DataError, match="no outputs to draw from"):
        draw_outputs([])


def test_a_published_leaderboard_comes_back(shared_data: Path, tmp_path: Path) -> None:
    """Every number of AlpacaEval's own file survives, best length-controlled rate first."""
    path = shared_data / "alpaca-eval" / "leaderboard.csv"
    published = read_leaderboard(path)
    assert published["alpaca-7b"]["win_rate"] == "2.591450540223603"
    write_leaderboard(tmp_path / "board.csv", published)
    again = read_leaderboard(tmp_path / "board.csv")
    assert {name: {k: v for k, v in row.items() if v} for name, row in again.items()} == {
        name: {k: v for k, v in row.items() if v} for name, row in published.items()
    }
    rates = [float(row["length_controlled_winrate"]) for row in again.values()]
    assert rates == sorted(rates, reverse=True)


def test_the_leaderboard_grows(world: Any, direct: Callable[..., Any]) -> None:
    """A model is added to the rows that are there, columns of others included; other numbers need --force."""
    board = world.folder / "board.csv"
    board.write_text(",win_rate,length_controlled_winrate,link\nbest,90.0,95.0,a\nnone,10.0,,b\n")
    path, eval_set = world.write("m.jsonl", world.rows("m")), world.write_eval_set()
    (one,) = direct(path, options=("--eval-set", eval_set, "--leaderboard", board)).models
    rows = read_leaderboard(board)
    assert list(rows) == ["best", "m", "none"]
    assert tuple(next(csv.reader(board.open()))) == ("", *COLUMNS, "link")
    assert (rows["best"]["link"], rows["m"]["link"]) == ("a", "")
    assert float(rows["m"]["length_controlled_winrate"]) == one["lc_win_rate"]
    assert float(rows["m"]["lc_standard_error"]) == one["lc_se"]
    assert (rows["m"]["n_total"], rows["m"]["mode"], rows["m"]["avg_length"]) == (
        "120",
        "community",
        str(one["avg_length"]),
    )
    before = board.read_bytes()
    assert direct(path, options=("--eval-set", eval_set, "--leaderboard", board)).code == 0
    assert board.read_bytes() == before
    other = ("--eval-set", eval_set, "--leaderboard", board, "--seed", 1)
    done = direct(path, options=other)
    assert (done.code, "has other numbers for 'm'" in done.err) == (4, True)
    assert board.read_bytes() == before
    assert direct(path, options=(*other, "--force")).code == 0
    assert read_leaderboard(board)["m"]["lc_standard_error"] != rows["m"]["lc_standard_error"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no leaderboard"),
        (",wins\na,1\n", "is no leaderboard"),
        (",win_rate\na,1,2\n", "is no leaderboard"),
        (",win_rate\na,1\na,2\n", "has 'a' twice"),
    ],
)
def test_no_leaderboard(tmp_path: Path, text: str, says: str) -> None:
    """Another CSV, a torn row, a model twice."""
    (tmp_path / "board.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_leaderboard(tmp_path / "board.csv")


def test_the_folder_of_results(world: Any, direct: Callable[..., Any]) -> None:
    """-o writes what AlpacaEval writes, and what it writes gives the same rates when it is read again."""
    rows = [*world.rows("m", seed=1), *world.rows("../../evil name", seed=2)]
    folder = world.folder / "results"
    done = direct(world.write("two.jsonl", rows), options=("--eval-set", world.write_eval_set(), "-o", folder))
    assert done.code == 0
    assert json.loads((folder / "win_rates.json").read_text()) == json.loads(done.out)
    assert set(read_leaderboard(folder / "leaderboard.csv")) == {"m", "../../evil name"}
    evil = folder / folder_name("../../evil name")
    assert {path.name for path in folder.iterdir()} == {"win_rates.json", "leaderboard.csv", "m", evil.name}
    again = direct(folder / "m" / "annotations.json", evil / "annotations.json")
    assert again.models == done.models
    for name in ("annotations.json", "model_outputs.json"):  # the eval set's order, not that of the texts
        written = [row["instruction"] for row in json.loads((evil / name).read_text())]
        assert written == [f"Do {k}." for k in range(world.n)]
    outputs = read_outputs(evil / "model_outputs.json")
    assert {row.generator for row in outputs} == {"../../evil name"}
    assert {row.instruction: row.output for row in outputs}["Do 0."] == world.rows("x", seed=2)[0]["output_2"]
    done = direct(world.folder / "two.jsonl", options=("--eval-set", world.folder / "eval-set.jsonl", "-o", folder))
    assert (done.code, "holds other files" in done.err) == (4, True)


def test_annotations_join_by_text_before_index(world: Any) -> None:
    """The record of a row has the eval set's instruction and the baseline's output, as AlpacaEval writes them."""
    eval_set = read_eval_set(world.write("set.json", [{**row, "dataset": "koala"} for row in world.eval_set]))
    found = read_annotations([world.write("m.jsonl", world.rows("m"))], eval_set)
    row = found.models["m"][0]
    assert (row.baseline, row.prompt, row.index) == ("base", "Do 0.", 0)
    assert list(row.record)[:4] == ["dataset", "instruction", "output_1", "generator_1"]
    assert row.record["output_1"] == row.baseline_output == world.eval_set[0]["output"]


def test_another_baseline_than_the_eval_sets_is_told(world: Any, direct: Callable[..., Any]) -> None:
    """Rows that name one baseline and get the outputs of another are a note, not a secret."""
    done = direct(
        world.write("m.jsonl", world.rows("m", baseline="other")), options=("--eval-set", world.write_eval_set())
    )
    assert "120 rows name 'other' as baseline and were given the outputs of 'base'" in done.err
    assert done.models[0]["baselines"] == ["other"]


def test_two_files_of_one_baseline(world: Any, direct: Callable[..., Any]) -> None:
    """Outputs of one model twice, or of several models in a file, are refused."""
    path = world.write("m.jsonl", world.rows("m"))
    one = world.write_eval_set()
    done = direct(path, options=("--baseline-outputs", one, "--baseline-outputs", one))
    assert (done.code, "has outputs of 'base', and so has" in done.err) == (4, True)
    mixed = [{**row, "generator": f"r{row['index'] % 4}"} for row in world.eval_set]
    done = direct(path, options=("--baseline-outputs", world.write("mixed.json", mixed)))
    assert (done.code, "has outputs of 2 models (r0, r2)" in done.err) == (4, True)
