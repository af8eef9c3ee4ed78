"""A local model asked as an endpoint is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from asking import conversations

from selkit.api import ChatReply, Decoding, Example, Outcome, Turn, UsageError
from selkit.models import load_model, prompt_template
from selkit.models.client import ChatService
from selkit.store import Store

JINJA = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SHORT = Decoding(max_new_tokens=6)


@pytest.fixture
def model(tiny_folder: Path) -> str:
    """A tiny model with a chat template; it writes bytes at random."""
    (tiny_folder / "chat_template.jinja").write_text(JINJA, "utf-8")
    return str(tiny_folder)


def texts(replies: Any) -> list[str]:
    """What was written."""
    return [reply.text for reply in replies]


def alone(model: str, turns: list[Turn], decoding: Decoding, seed: int = 0) -> str:
    """What the engine writes for one conversation alone, its template applied by hand."""
    example = Example("x", turns[-1].content, history=tuple(turns[:-1]))
    prompt = prompt_template("chat", model).prompt(example)
    return next(iter(load_model(model).generate([prompt], decoding, seed=seed)))[0].text


def test_replies_are_what_the_model_writes(store: Store, model: str) -> None:
    """In order, each as if it were alone; with what was used."""
    asked = [
        [Turn("user", "a")],
        [
            Turn("system", "be brief"),
            Turn("user", "bb"),
            Turn("assistant", "c"),
            Turn("user", "a much longer question"),
        ],
        [Turn("user", "dd")],
    ]
    with ChatService(store) as service:
        replies = list(service.open(model).complete(asked, decoding=SHORT))
    assert texts(replies) == [alone(model, turns, SHORT) for turns in asked]
    for reply, turns in zip(replies, asked, strict=True):
        example = Example("x", turns[-1].content, history=tuple(turns[:-1]))
        size = len(prompt_template("chat", model).prompt(example).encode())
        assert reply.usage == {"input": size, "output": 6}
        assert (reply.outcome, reply.model) == (Outcome.TRUNCATED, model)


def test_answers_are_stored(store: Store, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model writes each once, whoever asks; a second service does not even load it."""
    with ChatService(store) as service:
        first = list(service.open(model).complete(conversations("aba"), decoding=SHORT))
    assert [reply.cached for reply in first] == [False, False, True]
    monkeypatch.setattr("selkit.models.client.local.load_model", None)
    with ChatService(store) as service:
        again = list(service.open(model).complete(conversations("ba"), decoding=SHORT))
    assert again == [replace(first[1], cached=True), replace(first[0], cached=True)]
    rows = {row.resource: row.quantity for row in store.ledger() if row.resource != "input_tokens"}
    assert rows == {"calls": 2, "output_tokens": 12, "cached_calls": 2}


def test_other_weights_are_another_model(store: Store, model: str) -> None:
    """The folder's name does not matter, its content does."""
    with ChatService(store) as service:
        list(service.open(model).complete(conversations("a"), decoding=SHORT))
        Path(model, "chat_template.jinja").write_text(JINJA.replace("<", "["), "utf-8")
        reply = next(service.open(model).complete(conversations("a"), decoding=SHORT))
    assert not reply.cached


def test_samples_and_seeds(store: Store, model: str) -> None:
    """Each sample and each seed draws anew, and the same draw is the same; a greedy answer knows neither."""
    drawn = Decoding(max_new_tokens=6, temperature=1.0)
    with ChatService(store) as service:
        chat = service.open(model)
        found = [
            next(chat.complete(conversations("a"), decoding=drawn, seed=seed, sample=sample)).text
            for seed in (0, 1)
            for sample in (0, 1)
        ]
        assert len(set(found)) == 4
        greedy = [next(chat.complete(conversations("a"), decoding=SHORT, seed=s, sample=s)) for s in (0, 1)]
        assert greedy[1] == replace(greedy[0], cached=True)
    assert found[0] == alone(model, [Turn("user", "a")], drawn)


def test_a_prompt_that_fills_the_context_fails_alone(store: Store, model: str) -> None:
    """Its neighbours are answered; the failure is not stored."""
    asked = conversations(["a", "long " * 100, "b"])
    with ChatService(store) as service:
        replies = list(service.open(model).complete(asked, decoding=SHORT))
    assert [reply.outcome for reply in replies] == [Outcome.TRUNCATED] * 3
    assert [bool(reply.text) for reply in replies] == [True, False, True]
    assert "fills the 256 tokens" in replies[1].reason


def test_what_a_local_model_lacks_is_refused(store: Store, model: str, tiny_folder: Path) -> None:
    """Before it is loaded."""
    with ChatService(store) as service:
        chat = service.open(model)
        for options in ({"logprobs": 3}, {"extra": {"x": 1}}):
            with pytest.raises(UsageError):
                chat.complete(conversations("a"), decoding=SHORT, **options)
        Path(model, "chat_template.jinja").unlink()
        with pytest.raises(UsageError, match="no chat template"):
            service.open(model)


def test_an_interruption_keeps_what_was_written(store: Store, model: str) -> None:
    """What a caller has seen, and what the model wrote before it stopped, is not written again."""
    with ChatService(store) as service:
        replies = service.open(model).complete(conversations("abcdefgh"), decoding=SHORT)
        seen: list[ChatReply] = [next(replies), next(replies)]
        replies.close()  # type: ignore[attr-defined]
        again = list(service.open(model).complete(conversations("abcdefgh"), decoding=SHORT))
    assert again[:2] == [replace(reply, cached=True) for reply in seen]
