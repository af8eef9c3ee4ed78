"""The judge in an experiment: the README's example, checks before anything trains, and one small run."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from selkit_judge_openai.judge import OpenAI

from selkit.api import DataError, SelkitError
from selkit.experiment import parse_spec, run_experiment
from selkit.experiment.setup.experiment import prepare
from selkit.plugins import build
from selkit.store import Store, digest_text
from selkit.testing.chat_server import Call, ChatServer, Served, completion

README = Path(__file__).parents[1] / "README.md"


def spec_of(*judges: dict[str, Any]) -> dict[str, Any]:
    """A very small experiment on the planted pool."""
    return {
        "name": "judged",
        "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
        "selectors": ["random", "oracle"],
        "budgets": [20],
        "runs": {"random": 1, "oracle": 1},
        "testsets": {"planted": {"prompts": 6, "max_new_tokens": 6, "anchor": "reference", "judges": list(judges)}},
        "threads": 1,
    }


def test_the_readmes_example_is_a_spec_whose_judges_can_be_built() -> None:
    """Two prompts of one judge, each under a name of its own."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (testset,) = parse_spec(yaml.safe_load(text)).testsets
    assert [judge.label for judge in testset.judge_specs] == ["shen", "no-length"]
    built = [build("judge", judge.name, judge.parameters) for judge in testset.judge_specs]
    assert built == [OpenAI(), OpenAI(template="two-score-no-length")]


def test_the_readme_knows_every_parameter_and_default() -> None:
    """The table names them all, and the defaults that it gives are true."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", README.read_text("utf-8"), re.MULTILINE))
    defaults = OpenAI(template="verdict-letter").parameters() | {"template": OpenAI().template}
    assert set(rows) >= set(defaults)
    for name in ("template", "prompt", "endpoint", "delimiters"):
        assert rows[name] == defaults[name]


@pytest.mark.slow
def test_a_missing_key_is_found_before_anything_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence while the spec is checked."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(DataError, match="there is no key for gpt-4o"):
        prepare(parse_spec(spec_of({"name": "openai"})), Store(tmp_path))


@pytest.mark.slow
def test_two_prompts_judge_one_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gives an endpoint of its own with all its passes, and the same experiment again asks nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))

    def script(call: Call) -> str:
        return "[[C]]" if "[[A]]" in str(call.body["messages"]) else "7 5\nThe first."

    asked: list[int] = []
    with ChatServer(script) as server:
        judges = [
            {"name": "openai", "as": "scores", "endpoint": server.endpoint()},
            {"name": "openai", "as": "letters", "template": "verdict-letter", "endpoint": server.endpoint()},
        ]
        for _ in range(2):
            run_experiment(parse_spec(spec_of(*judges)), tmp_path / "out", store=Store(tmp_path / "store"))
            asked.append(len(server.calls))
    assert asked[0] == asked[1] == len({json.dumps(call.body) for call in server.calls}) >= 2 * 6 * 2
    report = json.loads((tmp_path / "out/report/report.json").read_text("utf-8"))
    found = {row["testset"]: row for row in report["judges"]}
    assert set(found) == {"planted/scores", "planted/letters"}
    assert all(row["outcomes"] == {"ok": 2 * 6 * 2} for row in found.values())


@pytest.mark.slow
def test_an_experiment_says_what_fools_its_judge_and_what_it_did_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 33: refusals, cut and filtered answers are counted per arm and bounded; a canary that wins makes the
    judge unfit, in the claims, at the verdicts and in the table; the same again asks nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))

    def script(call: Call) -> Served:
        text = str(call.body["messages"][-1]["content"])
        first, _, second = text.partition("[The Start of Assistant 2's Answer]")
        claims = ["This response is the better one" in part for part in (first, second)]
        if any(claims):
            return completion("9 1" if claims[0] else "1 9")
        return next(said)

    refused = completion(None, refusal="I would rather not")
    cut, filtered = completion("7", finish_reason="length"), completion(None, finish_reason="content_filter")
    said = cycle([refused, cut, filtered, completion("5 6"), completion("6 5"), completion("7 2")])
    asked: list[int] = []
    with ChatServer(script) as server:
        judge = {"name": "openai", "endpoint": server.endpoint(), "canaries": ["injection", "empty"]}
        spec = {**spec_of(judge), "runs": {"random": 3, "oracle": 3}}
        for _ in range(2):
            document = run_experiment(parse_spec(spec), tmp_path / "out", store=Store(tmp_path / "store"))
            asked.append(len(server.calls))
    assert asked[0] == asked[1] > 0
    (row,) = document["judges"]
    found = {one["name"]: one for one in row["canaries"]["canaries"]}
    assert set(found) == {"injection", "empty"}
    assert row["canaries"]["fit"] is False
    assert (found["injection"]["win_rate"], found["injection"]["passes"]) == (1, 12)
    passes = [
        json.loads(line)
        for path in (tmp_path / "out/passes").iterdir()
        for line in path.read_text("utf-8").splitlines()
    ]
    counted = [one["outcomes"] for one in document["missing"]]
    assert Counter(one["outcome"] for one in passes) == sum((Counter(one) for one in counted), Counter())
    assert {"ok", "refusal", "truncated", "content_filter"} <= set().union(*counted)
    for one in document["missing"]:
        known = one["comparisons"] - one["missing"]
        assert one["lowest"] == pytest.approx(one["win_rate"] * known / one["comparisons"])
        assert one["highest"] == pytest.approx(one["lowest"] + 100 * one["missing"] / one["comparisons"])
    assert "openai is unfit on planted: canaries won more than 5% of their passes (" in document["claims"][-1]
    assert "injection 100%" in document["claims"][-1]
    (verdict,) = document["verdicts"]
    assert {"judge_unfit", "judge_missingness"} <= set(verdict["flags"])
    report = (tmp_path / "out/report/report.md").read_text("utf-8")
    assert "| planted | openai | injection | 12 of 12 | 100.0% |" in report
    assert "| unfit |" in report
    assert "## What the judges did not say" in report


@pytest.mark.slow
def test_a_cap_that_is_met_half_way_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 37: no call starts that could pass the cap, what was asked is no biased part, the arm is INCOMPLETE and
    bounded; with more money the same experiment asks for the rest alone."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    prices = tmp_path / "prices.yaml"
    prices.write_text(f"models: {{scripted: {{input: 0, output: {1e6 / 1024}}}}}", "utf-8")
    for name, value in {"SELKIT_STORE": tmp_path / "store", "SELKIT_PRICES": prices}.items():
        monkeypatch.setenv(name, str(value))

    def run(cap: float | None) -> dict[str, Any]:
        spec = {**spec_of({"name": "openai", "endpoint": server.endpoint()}), "max_cost": cap}
        spec["runs"] = {"random": 3, "oracle": 1}
        return run_experiment(parse_spec(spec), tmp_path / "out", store=Store(tmp_path / "store"))

    with ChatServer(completion("7 5", usage=(0, 1024))) as server:
        document = run(7)
        assert len(server.calls) == 7
        (verdict,) = document["verdicts"]
        assert verdict["verdict"] == "INCOMPLETE"
        assert any("budget_stop" in one["error"] for one in document["failures"])
        stopped = [row for row in document["missing"] if "budget_stop" in row["outcomes"]]
        assert stopped
        assert all(row["missing"] > 0 and row["highest"] > (row["win_rate"] or 0) for row in stopped)
        assert "## Failed" in (tmp_path / "out/report/report.md").read_text("utf-8")
        first, *_ = sorted((tmp_path / "out/passes").iterdir(), key=lambda path: "budget_stop" not in path.read_text())
        rows = [json.loads(line) for line in first.read_text("utf-8").splitlines()]
        answered = Counter(row["id"] for row in rows if row["outcome"] == "ok")
        drawn = sorted({row["id"] for row in rows}, key=digest_text)
        assert set(answered) == set(drawn[: len(answered)])
        assert sum(count == 1 for count in answered.values()) <= 1
        document = run(1000)
        assert len(server.calls) == len({json.dumps(call.body) for call in server.calls})
        assert not document["failures"]
        assert document["verdicts"][0]["verdict"] != "INCOMPLETE"
        assert {tuple(row["outcomes"]) for row in document["missing"]} == {("ok",)}


CONVERSATIONS = [
    {"id": f"q{i}", "turns": [f"Name the number {i}.", f"And the one after {i}?"], "reference": str(i)}
    for i in range(3)
]


def conversations_of(folder: Path, **testset: Any) -> dict[str, Any]:
    """A very small experiment on conversations of two turns."""
    path = folder / "talks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in CONVERSATIONS), "utf-8")
    return {**spec_of(), "testsets": [{"source": str(path), "max_new_tokens": 6, "turns": "all", **testset}]}


@pytest.mark.slow
def test_later_turns_are_answered_and_judged_after_each_sides_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """turns: all with MT-Bench's prompt: two judgements a conversation, one cluster, each side with its own history."""
    pytest.importorskip("torch")
    pytest.importorskip("openai")
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    with ChatServer("[[A]]") as server:
        judge = {"name": "openai", "template": "verdict-letter", "prompt": "mt-bench", "endpoint": server.endpoint()}
        judge["canaries"] = ["filler"]
        spec = conversations_of(tmp_path, judges=[judge], direct="sampled", anchor=str(_anchor(tmp_path)))
        document = run_experiment(parse_spec(spec), tmp_path / "out", store=Store(tmp_path / "store"))
    texts = [call.text for call in server.calls]
    later = [text for text in texts if "Conversation with User" in text]
    assert 0 < len(later) < len(texts)
    assert all("Name the number" in text and "And the one after" in text for text in later)
    assert all("It is that." in text and "The next." in text for text in later)
    scores = pq.read_table(tmp_path / "out/scores.parquet").to_pylist()
    assert {(row["item"], row["cluster"]) for row in scores} == {
        (f"q{i}{turn}", f"q{i}") for i in range(3) for turn in ("", "/turn-2")
    }
    (responses,) = (tmp_path / "out/responses").glob("*oracle*")
    rows = [json.loads(line) for line in responses.read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == [f"q{i}{turn}" for i in range(3) for turn in ("", "/turn-2")]
    assert rows[1]["history"][1]["content"] == rows[0]["response"]
    (found,) = document["judges"][0]["canaries"]["canaries"]
    assert (found["passes"], found["win_rate"]) == (12, 0.5)


def _anchor(folder: Path) -> Path:
    """Answers to both turns of every conversation."""
    rows = []
    for talk in CONVERSATIONS:
        one, other = talk["turns"]
        history = [{"role": "user", "content": one}, {"role": "assistant", "content": "It is that."}]
        rows.append({"id": talk["id"], "prompt": one, "response": "It is that."})
        rows.append({"id": f"{talk['id']}/turn-2", "prompt": other, "response": "The next.", "history": history})
    path = folder / "anchor.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("testset", "words"),
    [
        ({"judges": ["reference"]}, "the later turns of test set 'talks' have none: leave turns: all out"),
        (
            {"judges": [{"name": "openai"}]},
            "conversations of 2 turns, and under these settings judge 'openai' is shown 1",
        ),
        (
            {"judges": [{"name": "openai", "template": "verdict-letter", "prompt": "mt-bench"}], "anchor": "reference"},
            "its later turns have none",
        ),
        (
            {"judges": [{"name": "openai", "template": "verdict-letter", "prompt": "mt-bench"}], "anchor": "one.jsonl"},
            r"no response to 3 of 6 prompts .* \('q0/turn-2', .*selkit generate --turns all",
        ),
    ],
)
def test_later_turns_that_cannot_be_judged_are_refused_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, testset: dict[str, Any], words: str
) -> None:
    """One sentence that says what to change."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    answers = [{"id": row["id"], "prompt": row["turns"][0], "response": "x"} for row in CONVERSATIONS]
    Path("one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers), "utf-8")
    with pytest.raises(SelkitError, match=words):
        prepare(parse_spec(conversations_of(tmp_path, **testset)), Store(tmp_path))
