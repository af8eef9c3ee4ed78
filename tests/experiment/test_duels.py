"""`selkit eval` on test sets: answers against a baseline's, judged, with raw and length-controlled win rates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from selkit.__main__ import main
from selkit.api import Comparison, Context, Judgement, Outcome, PairwiseJudge, UsageError
from selkit.evals.evaluation import model_subject, outputs_subject
from selkit.evals.length_control import direct_win_rate
from selkit.experiment.evaluation.duels import answers_of, judge_duel, plan_testset
from selkit.experiment.evaluation.winrates import judged
from selkit.models.client import ChatService
from selkit.store import Store

pytest.importorskip("sacrebleu")  # what the judge `reference` needs

WORDS = ["apple", "pear", "plum", "cherry", "quince", "grape", "melon", "fig", "date", "lime", "kiwi", "mango"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty store and a test set 'fruit' of twelve prompts with references."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("SELKIT_SHARED_DATA", raising=False)
    write("fruit.jsonl", [{"id": str(i), "instruction": f"Name {w}.", "reference": w} for i, w in enumerate(WORDS)])
    return tmp_path


def write(name: str, rows: list[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path = Path(name)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answers(name: str, right: set[int], more: dict[int, str] | None = None) -> str:
    """Answers to the test set, right ones where the number is in ``right``."""
    rows = [
        {"id": str(i), "response": (word if i in right else "zzzz") + (more or {}).get(i, "")}
        for i, word in enumerate(WORDS)
    ]
    return str(write(name, rows))


def found(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON of ``selkit eval`` with these words."""
    assert main(["eval", *words, "--json", "--judge", "reference"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_win_rates_are_those_of_the_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wins, ties and losses against a file; the error is that of the items; the adjusted rate that of direct mode."""
    mine, theirs = answers("a.jsonl", {0, 1, 2, 3, 4, 5}, {6: "long"}), answers("b.jsonl", {4, 5, 6, 7})
    words = ("-b", "fruit.jsonl", "--responses", mine, "--baseline", theirs, "-o", "out")
    document = found(*words, capsys=capsys)
    entry = document["benchmarks"]["fruit"]
    scores = [1.0] * 4 + [0.5] * 2 + [0.0] * 2 + [0.5] * 4
    mean = sum(scores) / 12
    assert entry["metrics"]["win_rate"] == {
        "value": pytest.approx(mean),
        "se": pytest.approx((sum((s - mean) ** 2 for s in scores) / 11 / 12) ** 0.5),
        "n": 12,
    }
    texts = [[json.loads(line)["response"] for line in Path(name).read_text().splitlines()] for name in (mine, theirs)]
    by_hand = direct_win_rate(scores, *[[len(text) for text in side] for side in texts], [str(i) for i in range(12)])
    assert entry["metrics"]["lc_win_rate"]["value"] == pytest.approx((by_hand.lc_win_rate or 0) / 100)
    assert entry["length_controlled"] == by_hand.to_dict()
    judge = entry["judge"]
    assert (judge["win"], judge["tie"], judge["lose"], judge["unparsed"]) == (4, 6, 2, 0)
    assert (judge["first_position_rate"], judge["inconsistency"]) == (0.5, 0.0)
    assert document["schema_version"] == 1
    items = pq.read_table("out/items/fruit.parquet").to_pylist()
    assert [item["win_rate"] for item in items] == scores
    assert [item["baseline_response"] for item in items] == texts[1]
    assert json.loads(Path("out/results.json").read_text("utf-8")) == document
    assert Path("out/judging/fruit/passes.jsonl").read_text("utf-8").count("\n") == 24
    assert found(*words, capsys=capsys) == document


def test_the_references_can_be_the_baseline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right answers tie with them, wrong ones lose."""
    mine = answers("a.jsonl", {0, 1, 2})
    entry = found("-b", "fruit.jsonl", "--responses", mine, "--baseline", "reference", capsys=capsys)["benchmarks"]
    assert entry["fruit"]["metrics"]["win_rate"]["value"] == pytest.approx(3 * 0.5 / 12)
    assert entry["fruit"]["baseline"] == {"name": "reference"}


def test_a_model_answers_and_is_asked_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tiny models on a part of a test set; another baseline does not let the model answer again."""
    pytest.importorskip("torch")
    words = ["tiny:words?layers=1", "-b", "fruit.jsonl", "--sample", "4", "--max-new-tokens", "4"]
    entry = found(*words, "--baseline", "tiny:words?layers=1&seed=5", capsys=capsys)["benchmarks"]["fruit"]
    assert entry["metrics"]["win_rate"]["n"] == 4
    assert (entry["sample"], entry["seed"], entry["data"]["rows"]) == (4, 0, 4)
    assert entry["cut"]["model"] is not None
    made = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("responses.jsonl")}
    assert len(made) == 2
    found(*words, "--baseline", answers("b.jsonl", {1}), capsys=capsys)
    assert {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("responses.jsonl")} == made


def test_seeds_are_judged_against_the_same_baseline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict on the win rates of a model among those of three seeds."""
    seeds = [answers(f"s{number}.jsonl", set(range(number, number + 4))) for number in range(3)]
    named = [word for seed in seeds for word in ("--seeds-of", seed)]
    mine, base = answers("a.jsonl", set(range(12))), answers("b.jsonl", {0, 5})
    document = found("-b", "fruit.jsonl", "--responses", mine, "--baseline", base, *named, capsys=capsys)
    (verdict,) = document["seeds"]["verdicts"]
    assert (verdict["benchmark"], verdict["runs"], verdict["control_runs"]) == ("fruit", 1, 3)
    wins = document["benchmarks"]["fruit"]["metrics"]["win_rate"]["value"]
    assert wins == pytest.approx(11 / 12)
    assert verdict["effect"] > 20


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "add --judge NAME and --baseline MODEL|FILE|reference"),
        (("--judge", "reference"), 2, "are judged against those of a baseline: add --baseline MODEL|FILE|reference"),
        (("--baseline", "b.jsonl"), 2, "add --judge NAME"),
        (("--judge", "nobody", "--baseline", "b.jsonl"), 3, "nobody"),
        (("--judge", "reference", "--baseline", "no/where"), 4, "no/where"),
        (("--judge", "reference", "--baseline", "few.jsonl"), 4, "no response for 2 of 12 rows, by id '10', '11'"),
        (("--judge", "reference", "--baseline", "more.jsonl"), 4, "1 responses that no row asks for, by id '99'"),
        (("--judge", "reference", "--baseline", "twice.jsonl"), 4, "1 ids come twice, '3'"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path, words: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is judged."""
    rows = [json.loads(line) for line in Path(answers("b.jsonl", {1})).read_text().splitlines()]
    write("few.jsonl", rows[:10])
    write("more.jsonl", [*rows, {"id": "99", "response": "x"}])
    write("twice.jsonl", [*rows, rows[3]])
    assert main(["eval", "-b", "fruit.jsonl", "--responses", answers("a.jsonl", {1}), *words]) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert message in line


def test_partial_judges_what_both_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of twelve on the one side, and an extra: nine remain."""
    mine = [json.loads(line) for line in Path(answers("a.jsonl", {1, 2})).read_text().splitlines()]
    write("a.jsonl", [*mine[1:], {"id": "99", "response": "x"}])
    write("b.jsonl", [{"prompt": f"Name {word}.", "response": word} for word in WORDS[:10]])
    document = found("-b", "fruit.jsonl", "--responses", "a.jsonl", "--baseline", "b.jsonl", "--partial", capsys=capsys)
    entry = document["benchmarks"]["fruit"]
    assert entry["metrics"]["win_rate"]["n"] == 9
    assert entry["judge"]["unmatched"] == 3


@pytest.mark.parametrize(
    ("name", "message"), [("vicunna", "Did you mean 'vicuna'"), ("mtbench", "Did you mean 'mt-bench'")]
)
def test_a_misspelt_test_set_gets_the_nearest_one(
    folder: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test sets are among the names that -b knows."""
    assert main(["eval", "-b", name, "--responses", answers("a.jsonl", {1})]) == 3
    assert message in capsys.readouterr().err


@dataclass
class Longest(PairwiseJudge):
    """Prefers the longer answer, all turns counted, and gives up on answers that say so."""

    name = "longest_conversation"
    most_turns: ClassVar[int] = 2

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """One judgement each; notes how many turns were shown."""
        for c in comparisons:
            first = len(c.first) + sum(len(turn.first) for turn in c.earlier)
            second = len(c.second) + sum(len(turn.second) for turn in c.earlier)
            if "?" in c.first + c.second:
                yield Judgement.failed(c, Outcome.MALFORMED, "no idea")
            else:
                yield Judgement.of(c, 0.5 if first == second else float(first > second), f"{len(c.earlier)} before")


def test_both_turns_are_answered_and_judged(folder: Path, tmp_path: Path) -> None:
    """A model's second turn follows its own first answer; turns of a conversation are one cluster."""
    pytest.importorskip("torch")
    rows = [{"id": str(i), "turns": [f"one {i}", f"two {i}"]} for i in range(3)]
    planned = plan_testset(str(write("talk.jsonl", rows)), Longest(), max_new_tokens=3)
    store = Store(tmp_path / "store")
    mine = answers_of(planned, model_subject("tiny:words?layers=1", "alpaca"), store)
    later = mine.responses["1/turn-2"]
    assert later.earlier == (("one 1", mine.responses["1"].response),)
    assert later.prompt == "two 1"
    longer = [{"id": name, "response": "word " * 40 if name.startswith("2") else ""} for name in planned.conversations]
    theirs = answers_of(planned, outputs_subject(write("base.jsonl", longer)), store)
    chat = ChatService(store)
    result = judge_duel(planned, Longest(), mine, theirs, store, chat)
    assert {one.id: one.raw for one in result.passes if one.order == "first"}["0/turn-2"] == "1 before"
    done = judged(planned, result, mine, theirs)
    assert done.items["cluster"].to_pylist() == ["0", "0", "1", "1", "2", "2"]
    assert done.to_dict()["metrics"]["win_rate"]["n"] == 6


def test_comparisons_without_a_verdict_are_counted_and_bounded(folder: Path, tmp_path: Path) -> None:
    """They are in no rate; the remark says between what the rate would lie with them."""
    planned = plan_testset("fruit.jsonl", Longest())
    store = Store(tmp_path / "store")
    mine = outputs_subject(Path(answers("a.jsonl", set(), {0: "?", 1: "?", **dict.fromkeys(range(2, 8), "more")})))
    base = outputs_subject(Path(answers("b.jsonl", set())))
    sides = [answers_of(planned, one, store) for one in (mine, base)]
    entry = judged(planned, judge_duel(planned, Longest(), *sides, store, ChatService(store)), *sides).to_dict()
    assert entry["metrics"]["win_rate"]["n"] == 10
    assert entry["metrics"]["win_rate"]["value"] == pytest.approx((6 + 4 * 0.5) / 10)
    assert (
        "2 of 12 comparisons have no verdict: with them the win rate would lie between 66.7 and 83.3"
        in entry["remarks"]
    )
    assert any("the longer one in all but" in remark for remark in entry["remarks"]) == (
        entry["metrics"]["lc_win_rate"]["value"] is None
    )


def test_a_judge_that_is_shown_one_turn_is_refused_conversations(folder: Path) -> None:
    """Before any model answers."""
    write("talk.jsonl", [{"id": "1", "turns": ["one", "two"]}])

    class Single(Longest):
        most_turns: ClassVar[int] = 1

    with pytest.raises(UsageError, match="have earlier turns"):
        plan_testset("talk.jsonl", Single())
