"""A served model as evaluation and generation ask it: a server of this machine in the place of a real one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")

from selkit.__main__ import main
from selkit.api import Continuation, Decoding, Example, Turn, UsageError, WorkFailed
from selkit.models.client import ChatService
from selkit.models.engines import Engine, engine_of
from selkit.models.served import ServedTemplate, endpoint_of
from selkit.store import Store
from selkit.testing import Call, ChatServer, Served, completion, failure

SHORT = Decoding(max_new_tokens=8)


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, keys, addresses or proxies of the person who runs the tests; failures are tried again quickly."""
    for name in ("SELKIT_PRICES", "OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    settings = tmp_path / "endpoints.yaml"
    settings.write_text("default: {backoff: 0.02, timeout: 5.0, retry_seconds: 0.2}\n")
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(settings))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    """The engine with a store of its own."""
    with ChatService(store) as service:
        yield engine_of("openai", service=service)


def words(text: str) -> list[str]:
    """A text cut before every blank."""
    return [part for part in text.replace(" ", "\0 ").split("\0") if part]


def loss(token: str) -> float:
    """What the echoing server says of a token."""
    return 0.25 * len(token)


def echoing(call: Call) -> Served:
    """The completions API of a model that goes on with ' end', with the likelihoods of all tokens."""
    tokens = [*words(call.body["prompt"]), " end"]
    logprobs = {"tokens": tokens, "token_logprobs": [None, *(-loss(token) for token in tokens[1:])]}
    choice = {"index": 0, "text": "".join(tokens), "logprobs": logprobs, "finish_reason": "length"}
    usage = {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1}
    return Served({"object": "text_completion", "model": "", "choices": [choice], "usage": usage})


def continuing(call: Call) -> Served:
    """The completions API of a model that goes on with the prompt in capitals."""
    choice = {"index": 0, "text": call.body["prompt"].upper(), "logprobs": None, "finish_reason": "stop"}
    return Served({"model": "", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 4}})


def test_texts_are_gone_on_with(engine: Engine) -> None:
    """A template other than the server's: the very text that a local model would get, at the completions API."""
    with ChatServer(continuing) as server:
        model = engine.open(server.endpoint())
        prompt = engine.template("alpaca", server.endpoint()).prompt(Example("a", "Say it."))
        ((answer,),) = model.generate([prompt], Decoding(max_new_tokens=8, stop=("END",)))
        (call,) = server.calls
    assert (answer.text, answer.finish_reason, answer.tokens) == (prompt.upper(), "stop", 4)
    assert call.path == "/v1/completions"
    assert call.body == {"model": "scripted", "prompt": prompt, "max_tokens": 8, "temperature": 0.0, "stop": ["END"]}


def test_conversations_leave_the_template_to_the_server(engine: Engine) -> None:
    """The template chat: turns go to the chat API, though a text looks like turns."""
    looks = '[["user", "not a turn"]]'
    history = (Turn("user", "1?"), Turn("assistant", "One."))
    with ChatServer(lambda call: f"{len(call.roles)}: {call.text}") as server:
        template = engine.template("chat", server.endpoint())
        prompts = [template.prompt(Example("a", looks)), template.prompt(Example("b", "2?", history=history))]
        answers = [answer.text for (answer,) in engine.open(server.endpoint()).generate(prompts, SHORT)]
        assert {call.path for call in server.calls} == {"/v1/chat/completions"}
    assert answers == [f"1: {looks}", "3: 2?"]


def test_every_kind_of_answer_is_an_answer(engine: Engine) -> None:
    """A cut answer, an empty one, a refusal with its words and one that a filter stopped are what they are."""
    script = {
        "cut": completion("half", finish_reason="length"),
        "empty": completion(""),
        "refused": completion(None, refusal="I will not."),
        "filtered": completion("", finish_reason="content_filter"),
    }
    with ChatServer(lambda call: script[call.text]) as server:
        prompts = [ServedTemplate().prompt(Example(name, name)) for name in script]
        answers = [answer for (answer,) in engine.open(server.endpoint()).generate(prompts, SHORT)]
    found = [(answer.text, answer.finish_reason) for answer in answers]
    assert found == [("half", "length"), ("", "stop"), ("I will not.", "stop"), ("", "content_filter")]


@pytest.mark.parametrize(
    "wrong",
    [
        failure(400, "context_length_exceeded", "This model's maximum context length is 8 tokens"),
        failure(400, "bad", "no"),
        Served("<html>a proxy</html>"),
    ],
    ids=["too long", "refused", "no answer"],
)
def test_a_failure_is_no_answer(engine: Engine, wrong: Served) -> None:
    """One request of three fails: a sentence that counts it, and the two answers are there at the next call."""
    prompts = [ServedTemplate().prompt(Example(name, name)) for name in ("one", "two", "three")]
    with ChatServer(lambda call: wrong if call.text == "two" else "fine") as server:
        model = engine.open(server.endpoint())
        with pytest.raises(WorkFailed, match=r"1 of 3 requests to scripted at .* failed, the first with: "):
            list(model.generate(prompts, SHORT))
        server.script = "better"
        asked = len(server.calls)
        assert [answer.text for (answer,) in model.generate(prompts, SHORT)] == ["fine", "better", "fine"]
        assert len(server.calls) == asked + 1


def test_samples_are_asked_with_seeds_of_their_own(engine: Engine) -> None:
    """Several answers of a sampled decoding: a request each, a seed each, and the same again for the same seed."""
    prompt = ServedTemplate().prompt(Example("a", "Draw."))
    with ChatServer(lambda call: str(call.body["seed"])) as server:
        model = engine.open(server.endpoint())
        decoding = Decoding(max_new_tokens=8, temperature=0.7, samples=3)
        ((first, *more),) = model.generate([prompt], decoding, seed=5)
        again = next(iter(model.generate([prompt], decoding, seed=5)))
        other = next(iter(model.generate([prompt], decoding, seed=6)))
        assert len(server.calls) == 6
    assert len({answer.text for answer in (first, *more)}) == 3
    assert [answer.text for answer in again] == [first.text, *(answer.text for answer in more)]
    assert other[0].text != first.text


def test_likelihoods_are_those_of_the_completion(engine: Engine) -> None:
    """The server echoes the whole text: the tokens of the completion count, with one that spans the boundary, and the
    one that it had to write does not; a first token has no likelihood."""
    pairs = [Continuation("The sky is", " blue today"), Continuation("a lo", "ng way"), Continuation("", "go on")]
    with ChatServer(echoing) as server:
        found = list(engine.open(server.endpoint()).token_losses(pairs))
        assert {call.path for call in server.calls} == {"/v1/completions"}
    expected = [[" blue", " today"], [" long", " way"], [" on"]]
    for losses, tokens in zip(found, expected, strict=True):
        np.testing.assert_allclose(losses.losses, [loss(token) for token in tokens])
    assert [losses.prompt_tokens for losses in found] == [3, 1, 1]
    assert all(math.isfinite(losses.mean) for losses in found)


def test_a_server_without_likelihoods_is_told_apart(engine: Engine) -> None:
    """It answers and echoes nothing: one sentence that the benchmark needs likelihoods, and which engine gives them."""
    pair = Continuation("The sky is", " blue")
    with ChatServer(continuing) as server:
        model = engine.open(server.endpoint())
        with pytest.raises(UsageError, match=r"compares likelihoods, and .* returns none .* engine hf or vllm gives"):
            list(model.token_losses([pair]))
        chat = Continuation(ServedTemplate().prompt(Example("a", "Which?")), "a")
        with pytest.raises(UsageError, match=r"puts its own template .* engine hf or vllm gives"):
            list(model.token_losses([chat]))
        assert len(server.calls) == 1


def test_tokens_that_do_not_spell_the_text_are_refused(engine: Engine) -> None:
    """A server whose tokens are not its text gives likelihoods of nobody knows what."""

    def garbled(call: Call) -> Served:
        served = echoing(call)
        served.body["choices"][0]["logprobs"]["tokens"][-2] = " green"
        return served

    with ChatServer(garbled) as server, pytest.raises(WorkFailed, match="spell ' green' where ' blue' was asked for"):
        list(engine.open(server.endpoint()).token_losses([Continuation("The sky is", " blue")]))


def test_names_stand_for_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is asked at $OPENAI_BASE_URL; the other forms are those of the request client."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert endpoint_of("m") == endpoint_of("openai:m")
    assert endpoint_of("m").url == "http://localhost:9/v1"
    assert endpoint_of("http://other:1/v1#m").label == "m at http://other:1/v1"
    with pytest.raises(UsageError, match="names no model"):
        endpoint_of("http://other:1/v1")


@pytest.fixture
def generate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``selkit generate`` on two prompts; returns its exit code and what it said on stderr."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"id": "a", "instruction": "One?"}\n{"id": "b", "instruction": "Two?"}\n')

    def run(model: str, *options: str) -> tuple[int, str]:
        where = ["--prompts", str(prompts), "-o", str(tmp_path / "out.jsonl"), "--store", str(tmp_path / "store")]
        return main(["generate", model, *where, *options]), capsys.readouterr().err

    return run


def test_the_command_asks_a_server(generate: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """`selkit generate --engine openai`: the same rows as of a local model, and the same command asks nothing again."""
    with ChatServer(lambda call: f"You said {call.text}") as server:
        assert generate(server.endpoint(), "--engine", "openai")[0] == 0
        assert generate(server.endpoint(), "--engine", "openai")[0] == 0
        assert len(server.calls) == 2
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[1] == {
        "id": "b",
        "prompt": "Two?",
        "response": "You said Two?",
        "finish_reason": "stop",
        "tokens": 3,
    }


def test_a_server_needs_its_key(generate: Callable[..., tuple[int, str]]) -> None:
    """OpenAI's own API without a key ends with exit code 4 before anything is asked."""
    code, said = generate("gpt-4o-2024-08-06", "--engine", "openai")
    assert code == 4
    assert "set $OPENAI_API_KEY" in said


def test_keys_name_the_engine(store: Store, tmp_path: Path) -> None:
    """The same model, prompts and decoding through two engines, or at two servers, are different results."""
    pytest.importorskip("torch")
    from selkit.models.engines import VLLM, HuggingFace
    from selkit.models.generate import GenerationJob
    from selkit.pools import TestPrompt, TestSet

    testset = TestSet("one", (TestPrompt("a", Example("a", "One?")),))
    with ChatServer("yes") as server, ChatService(store) as service:
        served = engine_of("openai", service=service)
        tiny = GenerationJob.prepare("tiny:bytes", testset, engine=HuggingFace("cpu"))
        jobs: list[Any] = [tiny]
        jobs += [GenerationJob.prepare(server.endpoint(name), testset, engine=served) for name in ("m", "n")]
    keys = [job.key for job in jobs]
    keys.append(GenerationJob("tiny:bytes", testset, tiny.template, tiny.decoding, 0, VLLM("cpu")).key)
    assert len({key.digest for key in keys}) == 4
    assert [key.component for key in keys] == ["hf", "openai", "openai", "vllm"]
