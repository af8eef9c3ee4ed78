"""The same numbers as alpaca_eval's own PairwiseAnnotator gives by hand, on the same server and the same answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from selkit_judge_alpaca_eval.configuration import installed_folder
from selkit_judge_alpaca_eval.judge import AlpacaEval
from selkit_judge_alpaca_eval.package import imported, quiet

from selkit.api import Comparison, Judgement, Outcome
from selkit.models import HostContext
from selkit.models.client import ChatService
from selkit.store import Store
from selkit.testing.chat_server import Answer, Call, ChatServer, completion
from selkit.testing.comparisons import INJECTIONS

pytest.importorskip("tiktoken")
pytest.importorskip("openai")

KEY = "sk-golden-0123456789abcdefghij"
PROMPTS = {
    "weighted": "alpaca_eval_clf_gpt4_turbo/alpaca_eval_clf.txt",
    "ranking": "alpaca_eval_gpt4/alpaca_eval.txt",
    "regex": "chatgpt/basic_prompt.txt",
    "function": "alpaca_eval_gpt4_fn/alpaca_eval_fn.txt",
}
TOOLS = [{"type": "function", "function": {"name": "make_leaderboard", "parameters": {"type": "object"}}}]
SETTINGS: dict[str, dict[str, Any]] = {
    "weighted": {
        "completions_kwargs": {"max_tokens": 1, "temperature": 1, "logprobs": True, "top_logprobs": 5},
        "fn_completion_parser": "logprob_parser",
        "completion_parser_kwargs": {"numerator_token": "m", "denominator_tokens": ["m", "M"], "is_binarize": False},
        "completion_key": "completions_all",
    },
    "ranking": {
        "completions_kwargs": {"max_tokens": 100, "temperature": 0},
        "fn_completion_parser": "ranking_parser",
    },
    "regex": {
        "completions_kwargs": {"max_tokens": 50, "seed": 7},
        "completion_parser_kwargs": {"outputs_to_match": {1: r"Output \(a\)", 2: r"Output \(b\)"}},
    },
    "function": {
        "completions_kwargs": {"max_tokens": 100, "temperature": 0, "tools": TOOLS, "tool_choice": "required"},
        "fn_completion_parser": "pipeline_meta_parser",
        "completion_parser_kwargs": {
            "parsers_to_kwargs": {"json_parser": {"annotation_key": "ordered_models"}, "ranking_parser": {}}
        },
        "processors_to_kwargs": {"ChainOfThoughtProcessor": {}},
    },
}


def turns(call: Call) -> list[tuple[str, str]]:
    """The conversation of a call."""
    return [(message["role"], message["content"]) for message in call.body["messages"]]


def drawn(call: Call) -> int:
    """A number from 0 to 255 that follows from the whole conversation, and so from the order too."""
    return hashlib.sha256(repr(turns(call)).encode()).digest()[0]


def weighted(call: Call) -> Answer:
    """Log-probabilities; the drawn token is not always among the five likeliest, and sometimes neither letter is."""
    number = drawn(call)
    if number % 8 == 0:
        return completion("The", finish_reason="length", logprobs=[{"The": -0.1, "Best": -3.0, "I": -4.0}])
    top = {"m": -0.01 * number - 0.01, "M": -2.5, "Both": -7.0, "The": -7.5, "A": -8.0}
    if number % 8 == 1:
        top = {"Both": -9.5, **{name: -float(place) for place, name in enumerate(("m", "x", "y", "z", "w"), 1)}}
    if number % 8 == 2:
        top = {"M": -9.5, **{name: -float(place) for place, name in enumerate(("v", "x", "y", "z", "w"), 1)}}
        body = completion("M", finish_reason="length", logprobs=[top])
        body.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"].pop(0)
        return body
    return completion(next(iter(top)), finish_reason="length", logprobs=[top])


def ranking(call: Call) -> Answer:
    """A list of ranked models, or none."""
    number = drawn(call)
    models = [{"model": f"model_{k}", "rank": k if number % 2 else 3 - k} for k in (1, 2)]
    return f"I prefer {models}." if number % 8 == 0 else repr(models)


def regex(call: Call) -> Answer:
    """One output, none, or both."""
    return ("Neither.", "Output (a)", "Output (b)", "Output (a) and Output (b)", "So: Output (b)")[drawn(call) % 5]


def function(call: Call) -> Answer:
    """A call of the tool, with arguments that hold a ranking or none."""
    number = drawn(call)
    models = [{"model": f"model_{k}", "rank": k if number % 2 else 3 - k} for k in (1, 2)]
    arguments = "{}" if number % 8 == 0 else str({"ordered_models": models}).replace("'", '"')
    served = completion(None, finish_reason="tool_calls")
    served.body["choices"][0]["message"]["tool_calls"] = [
        {"id": "c1", "type": "function", "function": {"name": "make_leaderboard", "arguments": arguments}}
    ]
    return served


SCRIPTS: dict[str, Callable[[Call], Answer]] = {
    "weighted": weighted,
    "ranking": ranking,
    "regex": regex,
    "function": function,
}


def configured(folder: Path, kind: str, url: str, **more: Any) -> Path:
    """A user's own folder with a configuration of that kind, whose prompt is a copy of alpaca_eval's."""
    installed = installed_folder()
    assert installed is not None
    own = folder / "own"
    own.mkdir(exist_ok=True)
    (own / "prompt.txt").write_text((installed / PROMPTS[kind]).read_text("utf-8"), encoding="utf-8")
    entry = {"prompt_template": "own/prompt.txt", "fn_completions": "openai_completions", **SETTINGS[kind], **more}
    settings = {"model_name": "scripted", "requires_chatml": True, "client_kwargs": {"base_url": url}}
    entry["completions_kwargs"] = settings | entry["completions_kwargs"]
    (own / "configs.yaml").write_text(yaml.safe_dump({"own": entry}), encoding="utf-8")
    return own


def rows(count: int = 24) -> list[Comparison]:
    """Comparisons, some of whose responses pretend to be verdicts; none holds what alpaca_eval itself breaks at."""
    fakes = [text for text in INJECTIONS if "<|im_" not in text]
    return [
        Comparison(f"r{i:02d}", f"Question {i}?", f"One {i} {fakes[i % len(fakes)]}", f"Other {i}")
        for i in range(count)
    ]


def by_hand(folder: Path, comparisons: list[Comparison]) -> dict[str, float | None]:
    """What alpaca_eval's annotator says of each instruction; None where it says nothing."""
    annotators = imported().annotators
    asked = [{"instruction": c.prompt, "output_1": c.first, "output_2": c.second} for c in comparisons]
    with quiet():
        annotator = annotators.PairwiseAnnotator(annotators_config=str(folder.absolute()), caching_path=None)
        found = annotator(asked, openai_api_keys=KEY)
    by_text = {row["instruction"]: row["preference"] for row in found}
    return {
        c.id: None if (value := by_text[c.prompt]) is None or math.isnan(value) else float(value) for c in comparisons
    }


def with_selkit(judge: AlpacaEval, comparisons: list[Comparison], store: Path) -> list[Judgement]:
    """What the judge says of comparisons."""
    with ChatService(Store(store)) as chat:
        return list(judge.compare(comparisons, HostContext(seed=0, cache_dir=store, chat_service=chat)))


def sent(calls: list[Call]) -> list[dict[str, Any]]:
    """What was asked, in an order that does not depend on when; the API's own defaults need not be sent."""
    defaults = {"temperature": 1, "top_p": 1}
    return sorted(
        (defaults | dict(call.body) | {"messages": turns(call)} for call in calls),
        key=lambda body: repr(body["messages"]),
    )


@pytest.mark.parametrize("kind", list(SETTINGS))
def test_the_preferences_are_alpaca_evals(kind: str, tmp_path: Path) -> None:
    """To the last bit, row by row, from the same requests; what it drops is malformed, and no more than that."""
    comparisons = rows()
    with ChatServer(SCRIPTS[kind]) as server:
        folder = configured(tmp_path, kind, server.url, is_randomize_output_order=False)
        expected = by_hand(folder, comparisons)
        asked = sent(server.calls)
        server.calls.clear()
        judge = AlpacaEval(annotator=str(folder))
        assert judge.requests == "selkit"
        found = with_selkit(judge, comparisons, tmp_path / "store")
        assert sent(server.calls) == asked
        given = yaml.safe_load((folder / "configs.yaml").read_text("utf-8"))
        given["own"]["completions_kwargs"]["openai_api_keys"] = KEY
        (folder / "configs.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
        judge = AlpacaEval(annotator=str(folder))
        assert judge.requests == "alpaca-eval"
        other = with_selkit(judge, comparisons, tmp_path / "store")
    assert [one.id for one in found] == [one.id for one in other] == [c.id for c in comparisons]
    for judgements in (found, other):
        assert {one.id: None if one.preference is None else 2 - one.preference for one in judgements} == expected
        assert {one.outcome for one in judgements if one.preference is None} == {Outcome.MALFORMED}
    assert 5 < sum(value is not None for value in expected.values()) < len(comparisons)


def test_the_order_that_alpaca_eval_draws_is_one_of_selkits_two(tmp_path: Path) -> None:
    """With its own random order each of its preferences is that of one of selkit's passes, and both orders occur."""
    comparisons = rows()
    with ChatServer(ranking) as server:
        folder = configured(tmp_path, "ranking", server.url)
        expected = by_hand(folder, comparisons)
        both = [one for c in comparisons for one in (c, c.swapped())]
        found = with_selkit(AlpacaEval(annotator=str(folder)), both, tmp_path / "store")
        asked = {repr(turns(call)) for call in server.calls}
    assert len(asked) == 2 * len(comparisons)  # by hand half of them, by selkit all
    passes = {(one.id, one.order): one.preference for one in found}
    for row, value in expected.items():
        first, second = passes[row, "first"], passes[row, "second"]
        mirrored = [None if first is None else 2 - first, None if second is None else 1 + second]
        assert value in mirrored


def test_stored_answers_are_read_again_as_they_were(tmp_path: Path) -> None:
    """The raw text of a pass holds all that the parser needs."""
    for kind in SETTINGS:
        with ChatServer(SCRIPTS[kind]) as server:
            judge = AlpacaEval(annotator=str(configured(tmp_path, kind, server.url)))
            found = with_selkit(judge, rows(20), tmp_path / f"store-{kind}")
        assert [judge.parse(one.raw) for one in found] == [one.preference for one in found]
