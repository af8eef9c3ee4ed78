"""From two models' answers to AlpacaEval's annotations and back, through the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selkit.__main__ import main
from selkit.api import Comparison, DataError, EarlierTurn
from selkit.evals.alpaca_eval import Sides, annotation_records, side_names
from selkit.experiment.testsets.anchors import read_anchor
from selkit.pools import load_testset

pytest.importorskip("sacrebleu")  # what the judge `reference` needs

REFERENCES = {"Say a.": "aaaa bbbb", "Say b.": "cccc dddd", "Say c.": "eeee ffff"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A JSON list, or JSON Lines where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(lines if path.suffix == ".jsonl" else json.dumps(rows), encoding="utf-8")
    return path


def outputs(answers: dict[str, str], **more: str) -> list[dict[str, Any]]:
    """Rows of a model_outputs.json."""
    return [{"instruction": instruction, "output": answer, **more} for instruction, answer in answers.items()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with outputs of two models, the first one's also as responses, and a test set with references."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    ours = {"Say a.": "aaaa bbbb", "Say b.": "nothing", "Say c.": "the same"}
    theirs = {"Say b.": "cccc dddd", "Say a.": "nothing", "Say c.": "the same", "Say d.": "more"}
    write(tmp_path / "ours.json", outputs(ours, generator="mine"))
    rows = [{"id": f"x{i}", "prompt": prompt, "response": text} for i, (prompt, text) in enumerate(ours.items())]
    write(tmp_path / "ours.jsonl", rows)
    write(tmp_path / "theirs.json", outputs(theirs))
    test_set = [{"id": f"x{i}", "instruction": p, "reference": r} for i, (p, r) in enumerate(REFERENCES.items())]
    write(tmp_path / "prompts.jsonl", test_set)
    return tmp_path


def judged(capsys: pytest.CaptureFixture[str], *files: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the command prints, with the judge of selkit's own."""
    capsys.readouterr()
    how = ("--judge", "reference", "--testset", "prompts.jsonl", "--json")
    assert main(["judge", "pairwise", *files, *how, *more]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("files", [("ours.json", "theirs.json"), ("ours.jsonl", "theirs.json")], ids=["bare", "mixed"])
def test_outputs_without_ids_are_joined_by_instruction(
    place: Path, capsys: pytest.CaptureFixture[str], files: tuple[str, str]
) -> None:
    """Whatever the order of rows, also with a file that has ids; references are found, and the rest is counted."""
    found = judged(capsys, *files)
    assert [found[name] for name in ("n", "win", "tie", "lose", "unmatched")] == [3, 1, 1, 1, 1]


def test_annotations_are_alpaca_evals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first side is the model, 2 a win of it; selkit reads them, and they have the same win rate."""
    more = ("--annotations", "new/annotations.json")
    judged(capsys, "ours.json", "theirs.json", more=more)
    rows = json.loads(Path("new/annotations.json").read_text("utf-8"))
    assert rows[0] == {
        "instruction": "Say a.",
        "output_1": "nothing",
        "generator_1": "theirs",
        "output_2": "aaaa bbbb",
        "generator_2": "mine",
        "annotator": "reference",
        "preference": 2.0,
    }
    assert [row["preference"] for row in rows] == [2.0, 1.0, 1.5]
    assert main(["eval", "alpaca-eval", "--mode", "direct", "--annotations", "new/annotations.json", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert [model[name] for name in ("name", "n", "win_rate", "n_draws")] == ["mine", 3, 50.0, 1]


def test_other_annotations_are_not_overwritten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the same comparisons are; another file is refused before anything is judged, unless forced."""
    more = ("--annotations", "a.json")
    judged(capsys, "ours.json", "theirs.json", more=more)
    judged(capsys, "ours.json", "theirs.json", more=more)
    before = Path("a.json").read_bytes()
    command = ["judge", "pairwise", "theirs.json", "ours.json", "--judge", "reference", "--testset", "prompts.jsonl"]
    assert main([*command, *more]) == 4
    assert "a.json exists and holds something else" in capsys.readouterr().err
    assert Path("a.json").read_bytes() == before
    assert main([*command, *more, "--force"]) == 0
    assert Path("a.json").read_bytes() != before


def test_what_alpaca_eval_cannot_hold_is_refused() -> None:
    """Earlier turns, and two comparisons of one prompt; no verdict is a null."""
    sides = Sides("ours", "theirs", "judge")
    one = Comparison("1", "Why?", "a", "b")
    assert annotation_records([one], {"1": None}, sides)[0]["preference"] is None
    with pytest.raises(DataError, match="'1' and '2' have the same prompt"):
        annotation_records([one, Comparison("2", "Why?", "c", "d")], {}, sides)
    with pytest.raises(DataError, match="earlier turns"):
        annotation_records([Comparison("1", "Why?", "a", "b", earlier=(EarlierTurn("x", "y", "z"),))], {}, sides)


def test_two_models_never_share_a_name(tmp_path: Path) -> None:
    """The file's generator, its name, its folder: to AlpacaEval the same name for both is a win rate of 50."""
    one = write(tmp_path / "one/responses.jsonl", [{"id": "a", "response": "x"}])
    other = write(tmp_path / "other/responses.jsonl", [{"id": "a", "response": "y"}])
    named = write(tmp_path / "m.json", outputs({"a": "x"}, generator="gpt"))
    assert side_names(one, named) == ("responses", "gpt")
    assert side_names(one, other) == ("one/responses", "other/responses")
    assert side_names(one, one) == ("responses (A)", "responses (B)")


def test_repeated_instructions_and_rows_without_output_are_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence with the line."""
    for rows, said in (
        ([*outputs({"Say a.": "x"}), *outputs({"Say a.": "y"})], "line 2: the instruction 'Say a.' comes twice"),
        ([{"instruction": "Say a.", "output": None}], "line 1: a response needs"),
        ([{"output": "x"}], "line 1: a response needs"),
    ):
        write(place / "bad.json", rows)
        assert main(["judge", "pairwise", "bad.json", "theirs.json", "--judge", "reference"]) == 4
        assert said in capsys.readouterr().err


def test_outputs_are_an_anchor(place: Path) -> None:
    """A baseline's model_outputs.json stands in an experiment, under the ids of the test set."""
    anchor = read_anchor("theirs.json", load_testset("prompts.jsonl"), "alpaca", "first")
    assert anchor.answers is not None
    assert {name: one.response for name, one in anchor.answers.items()} == {
        "x0": "nothing",
        "x1": "cccc dddd",
        "x2": "the same",
    }


def test_generate_writes_model_outputs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the responses, with the model's name; other outputs and several samples are refused first."""
    pytest.importorskip("torch")
    model = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"
    how = ["--prompts", "prompts.jsonl", "-o", "r.jsonl", "--max-new-tokens", "3"]
    for _ in range(2):
        assert main(["generate", model, *how, "--model-outputs", "sub/outputs.json"]) == 0
    answers = [json.loads(line) for line in Path("r.jsonl").read_text("utf-8").splitlines()]
    assert json.loads(Path("sub/outputs.json").read_text("utf-8")) == [
        {"instruction": row["prompt"], "output": row["response"], "generator": model} for row in answers
    ]
    capsys.readouterr()
    assert main(["generate", model, *how, "--model-outputs", "theirs.json", "--dry-run"]) == 4
    assert "theirs.json exists and holds something else" in capsys.readouterr().err
    again = ["--model-outputs", "s.json", "--samples", "2", "--decoding", "car", "--dry-run"]
    assert main(["generate", model, *how, *again]) == 2
    assert "one answer to an instruction" in capsys.readouterr().err
