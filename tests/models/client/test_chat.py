"""Asking a server: order, pace, what is sent, what is stored, what it cost."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

from asking import SHORT, ask, conversations, echo

from selkit.api import DataError, Decoding, MissingExtra, Turn, UsageError
from selkit.models import HostContext
from selkit.models.client import ChatService
from selkit.store import Store
from selkit.testing import ChatServer, Served, completion


def test_replies_come_in_the_order_of_the_conversations(service: ChatService) -> None:
    """Also where later answers arrive first; what was asked for is what each gets."""

    def script(call: Any) -> Served:
        number = int(call.text)
        return completion(f"re: {number}", delay=0.1 if number % 7 == 0 else 0.0)

    with ChatServer(script) as server:
        replies = ask(service, server, [str(i) for i in range(300)])
    assert [reply.text for reply in replies] == [f"re: {i}" for i in range(300)]
    assert {reply.outcome for reply in replies} == {"ok"}
    assert not any(reply.cached for reply in replies)


def test_no_more_than_the_concurrency_is_under_way(store: Store, settings: Callable[..., None]) -> None:
    """The service's own number goes before the settings'; as many as allowed really are under way."""
    settings(concurrency=50)
    with ChatServer(echo, delay=0.05) as server, ChatService(store, concurrency=5) as service:
        ask(service, server, [str(i) for i in range(40)])
        assert server.most_at_once == 5
    settings(concurrency=9)
    with ChatServer(echo, delay=0.05) as server, ChatService(store) as service:
        ask(service, server, [str(i) for i in range(40)])
        assert server.most_at_once == 9


def test_the_same_request_is_sent_once(service: ChatService) -> None:
    """Within a call and over calls; another sample, seed, decoding or conversation is another request."""
    with ChatServer(echo) as server:
        replies = ask(service, server, ["a", "b", "a", "a"])
        assert [reply.cached for reply in replies] == [False, False, True, True]
        assert [reply.text for reply in replies] == ["re: a", "re: b", "re: a", "re: a"]
        again = ask(service, server, ["b", "a"])
        assert [reply.cached for reply in again] == [True, True]
        assert len(server.calls) == 2
        ask(service, server, ["a"], sample=1)
        ask(service, server, ["a"], seed=3)
        ask(service, server, ["a"], decoding=Decoding(max_new_tokens=9))
        ask(service, server, ["a"], logprobs=2)
        ask(service, server, ["a"], extra={"user": "me"})
        assert len(server.calls) == 7
        ask(service, server, ["a"], sample=1)
        assert len(server.calls) == 7


def test_another_address_or_model_is_another_request(service: ChatService) -> None:
    """Answers of one model are never taken for those of another."""
    with ChatServer("one") as first, ChatServer("two") as second:
        texts = [
            next(service.open(endpoint).complete(conversations(["q"]), decoding=SHORT)).text
            for endpoint in (first.endpoint("a"), first.endpoint("b"), second.endpoint("a"), first.endpoint("a"))
        ]
    assert texts == ["one", "one", "two", "one"]
    assert [call.body["model"] for call in first.calls] == ["a", "b"]


def test_what_is_sent(service: ChatService) -> None:
    """The body of a request, golden: settings that the API has by default are left out, but not the temperature."""
    decoding = Decoding(max_new_tokens=3, temperature=0.5, top_p=0.9, top_k=5, repetition_penalty=1.1, stop=("\n",))
    turns = [[Turn("system", "S"), Turn("user", "U"), Turn("assistant", "A"), Turn("user", "V")]]
    with ChatServer("x") as server:
        chat = service.open(server.endpoint("org/model:1"))
        list(chat.complete(turns, decoding=decoding, seed=7, logprobs=5, extra={"min_tokens": 1}))
        list(chat.complete(turns, decoding=Decoding(max_new_tokens=4, temperature=1.0), fold_system=True))
    assert server.calls[0].path == "/v1/chat/completions"
    assert server.calls[0].body == {
        "model": "org/model:1",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "V"},
        ],
        "max_tokens": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "repetition_penalty": 1.1,
        "stop": ["\n"],
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 5,
        "min_tokens": 1,
    }
    assert server.calls[1].body == {
        "model": "org/model:1",
        "messages": [
            {"role": "user", "content": "S\n\nU"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "V"},
        ],
        "max_tokens": 4,
        "temperature": 1.0,
    }


def test_openai_is_found_through_the_environment(service: ChatService, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_BASE_URL and OPENAI_API_KEY are honoured; the newer name of the limit is sent."""
    with ChatServer("hello") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-marked-1234567890")
        chat = service.open("openai:gpt-4o-2024-08-06")
        assert next(chat.complete(conversations(["q"]), decoding=SHORT)).text == "hello"
    call = server.calls[0]
    assert call.headers["authorization"] == "Bearer sk-marked-1234567890"
    assert call.body["max_completion_tokens"] == 8
    assert "max_tokens" not in call.body


def test_the_key_of_a_server_comes_from_the_variable_that_the_settings_name(
    service: ChatService, settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without one no key is sent, least of all OpenAI's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-1234567890")
    monkeypatch.setenv("MY_SERVER", "local-key-1")
    with ChatServer("x") as server:
        ask(service, server, ["a"])
        settings(key_variable="MY_SERVER")
        with ChatService(service.store) as other:
            ask(other, server, ["b"])
    assert "authorization" not in server.calls[0].headers
    assert server.calls[1].headers["authorization"] == "Bearer local-key-1"


def test_conversations_are_read_as_answers_come_in(service: ChatService) -> None:
    """An endless series of conversations gives replies, and is read only somewhat ahead of them."""
    read: list[int] = []

    def endless() -> Iterator[list[Turn]]:
        for number in count():
            read.append(number)
            yield [Turn("user", str(number))]

    with ChatServer(echo) as server:
        chat = service.open(server.endpoint())
        replies = chat.complete(endless(), decoding=SHORT)
        assert [reply.text for reply in islice(replies, 100)] == [f"re: {i}" for i in range(100)]
        replies.close()  # type: ignore[attr-defined]
    assert len(read) <= 100 + 17 * 64


def test_giving_up_early_keeps_what_was_under_way(service: ChatService) -> None:
    """A caller that stops reading gets its thread back, and what was paid for is stored."""
    with ChatServer(echo, delay=0.05) as server:
        chat = service.open(server.endpoint())
        texts = [str(i) for i in range(200)]
        replies = chat.complete(conversations(texts), decoding=SHORT)
        next(replies)
        replies.close()  # type: ignore[attr-defined]
        sent = len(server.calls)
        assert sent < 200
        assert sum(reply.cached for reply in ask(service, server, texts)) == sent
        assert len(server.calls) == 200


def test_replies_say_what_was_used(service: ChatService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens, dollars of the user's table with the discount for input in the server's cache, and the model."""
    (tmp_path / "prices.yaml").write_text("models: {scripted: {input: 10, cached_input: 1, output: 100}}", "utf-8")
    monkeypatch.setenv("SELKIT_PRICES", str(tmp_path / "prices.yaml"))
    answer = completion("x", usage=(1000, 20), model="scripted-2")
    answer.body["usage"]["prompt_tokens_details"] = {"cached_tokens": 400}
    with ChatServer(answer) as server:
        replies = ask(service, server, ["a", "a"])
    dollars = (600 * 10 + 400 * 1 + 20 * 100) / 1e6
    for reply in replies:
        assert reply.usage == {"input": 1000, "output": 20, "cached_input": 400, "dollars": pytest.approx(dollars)}
        assert reply.model == "scripted-2"


def test_dollars_follow_the_prices_of_today(
    service: ChatService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 25: a changed price table changes what stored answers are said to have cost, without a call."""
    prices = tmp_path / "prices.yaml"
    monkeypatch.setenv("SELKIT_PRICES", str(prices))
    with ChatServer(completion("x", usage=(1_000_000, 0))) as server:
        for dollars in (3.0, 5.0):
            prices.write_text(f"models: {{scripted: {{input: {dollars}, output: 0}}}}", "utf-8")
            with ChatService(service.store) as fresh:
                assert ask(fresh, server, ["a"])[0].usage["dollars"] == dollars
    assert len(server.calls) == 1


def test_log_probabilities_are_returned(service: ChatService) -> None:
    """For each token the alternatives; also where the answer was cut, and when it comes from the store."""
    tops = [{"m": -0.1, "M": -2.5}, {".": -0.01}]
    with ChatServer(completion("m.", logprobs=tops, finish_reason="length")) as server:
        for cached in (False, True):
            reply = ask(service, server, ["q"], logprobs=2)[0]
            assert reply.logprobs == ({"m": -0.1, "M": -2.5}, {".": -0.01})
            assert (reply.outcome, reply.text, reply.cached) == ("truncated", "m.", cached)


def test_texts_of_every_kind_arrive(service: ChatService) -> None:
    """Other scripts, control characters, a megabyte; a lone surrogate, which has no UTF-8, becomes a U+FFFD."""
    texts = ["日本語 🙂", 'quote " \\ \n\t\x00', "x" * 1_000_000, "lone \ud800 one"]
    with ChatServer(lambda call: str(len(call.text))) as server:
        replies = ask(service, server, texts)
        again = ask(service, server, texts)
    assert {call.text for call in server.calls} == {*texts[:3], "lone \ufffd one"}
    assert [reply.text for reply in replies] == [str(len(text)) for text in texts]
    assert [(reply.text, reply.cached) for reply in again] == [(str(len(text)), True) for text in texts]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([], "must end with a turn of the user"),
        ([("user", "q"), ("assistant", "a")], "must end"),
        ([("tool", "q")], "role"),
    ],
)
def test_a_conversation_that_is_none_is_refused(service: ChatService, turns: list[Any], said: str) -> None:
    """Before anything of it is sent."""
    with ChatServer("x") as server:
        with pytest.raises(UsageError, match=said):
            list(service.open(server.endpoint()).complete([turns], decoding=SHORT))
        assert not server.calls


def test_settings_that_endpoints_lack_are_refused(service: ChatService) -> None:
    """When complete() is called, before the first reply is asked for."""
    with ChatServer("x") as server:
        chat = service.open(server.endpoint())
        for decoding in (Decoding(samples=2, temperature=1.0), Decoding(num_beams=4), Decoding(max_new_tokens=0)):
            with pytest.raises(UsageError):
                chat.complete([], decoding=decoding)
        for options in ({"logprobs": 21}, {"extra": {"n": 2}}, {"extra": {"messages": []}}):
            with pytest.raises(UsageError):
                chat.complete([], decoding=SHORT, **options)


def test_nothing_asked_is_nothing_answered(service: ChatService) -> None:
    """And nothing is sent or opened."""
    with ChatServer("x") as server:
        assert ask(service, server, []) == []
        assert not server.calls


def test_the_ledger_says_what_was_used(store: Store, settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Scenario 40: calls, tokens and dollars once, and how many answers were stored already, by what they are charged
    to."""
    (tmp_path / "prices.yaml").write_text("read: 2026-01-02\nmodels: {scripted: {input: 1, output: 2}}", "utf-8")
    monkeypatch.setenv("SELKIT_PRICES", str(tmp_path / "prices.yaml"))
    with ChatServer(completion("x", usage=(1000, 500))) as server:
        for account, texts in (("f" * 64, "abc"), ("e" * 64, "bcd"), ("e" * 64, "d")):
            with ChatService(store) as service:
                chat = service.open(server.endpoint(), account=lambda account=account: account)
                list(chat.complete(conversations(texts), decoding=SHORT))
    rows = {}
    for row in store.ledger():
        assert row.stage == "chat"
        rows.setdefault((row.key[0], row.resource), []).append(row.quantity)
    assert {key: values[0] if len(values) == 1 else values for key, values in rows.items()} == {
        ("f", "calls"): 3,
        ("f", "input_tokens"): 3000,
        ("f", "output_tokens"): 1500,
        ("f", "dollars"): pytest.approx(3 * 0.002),
        ("e", "calls"): 1,
        ("e", "input_tokens"): 1000,
        ("e", "output_tokens"): 500,
        ("e", "dollars"): pytest.approx(0.002),
        ("e", "cached_calls"): [2, 1],
    }
    assert {row.source for row in store.ledger() if row.resource == "dollars"} == {"own prices of 2026-01-02"}


def test_dollars_nobody_knows_are_not_zero(service: ChatService, capsys: pytest.CaptureFixture[str]) -> None:
    """No price: neither the reply nor the ledger has dollars."""
    with ChatServer("x") as server:
        assert "dollars" not in ask(service, server, ["a"])[0].usage
    service.close()
    assert {row.resource for row in service.store.ledger()} == {"calls", "input_tokens", "output_tokens"}


def test_an_unknown_price_of_openai_is_said(service: ChatService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, when the endpoint is opened."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marked-1234567890")
    notes: list[str] = []
    service.open("openai:gpt-99", log=notes.append)
    service.open("openai:gpt-99", log=notes.append)
    service.open("openai:gpt-4o", log=notes.append)
    assert notes == ["the price of gpt-99 is not known: its dollars are not counted"]


def test_stored_answers_need_neither_key_nor_client(store: Store, settings: Any, monkeypatch: Any) -> None:
    """They can be read again in another way on a machine without; only a question that has no answer asks for them."""
    with ChatServer(echo) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with ChatService(store) as service, pytest.raises(DataError, match=r"no key .* set \$OPENAI_API_KEY"):
            service.open("openai:gpt-4o")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-marked-1234567890")
        with ChatService(store) as service:
            list(service.open("openai:gpt-4o").complete(conversations("ab"), decoding=SHORT))
        monkeypatch.delenv("OPENAI_API_KEY")
        with ChatService(store) as service:
            chat = service.open("openai:gpt-4o")
            assert [reply.text for reply in chat.complete(conversations("ba"), decoding=SHORT)] == ["re: b", "re: a"]
            with pytest.raises(DataError, match="no key"):
                list(chat.complete(conversations("abc"), decoding=SHORT))
            with pytest.raises(DataError, match="no key"):
                service.open("openai:gpt-4o-mini")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with ChatService(store) as service:
            chat = service.open("openai:gpt-4o")
            assert next(chat.complete(conversations("a"), decoding=SHORT)).cached
            with pytest.raises(MissingExtra, match=r"selkit-eval\[openai\]"):
                list(chat.complete(conversations("c"), decoding=SHORT))
            with pytest.raises(MissingExtra, match=r"selkit-eval\[openai\]"):
                service.open(server.endpoint())
        assert len(server.calls) == 2


def test_a_forgotten_service_is_closed(store: Store, settings: Any) -> None:
    """Its connections go and its costs are entered, wherever the collector of garbage runs."""
    with ChatServer(echo) as server:
        service = ChatService(store)
        ask(service, server, "a")
        threads = threading.active_count()
        del service
        gc.collect()
        end = time.monotonic() + 60
        while not store.ledger() or threading.active_count() >= threads:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_answers_of_another_model_than_asked_are_noted(service: ChatService) -> None:
    """Scenario 36: a server that changes its model half-way is said to have done so; a dated name of the same model is
    not."""
    notes: list[str] = []
    with ChatServer(lambda call: completion("x", model="scripted-v2" if call.text == "b" else "scripted-v1")) as server:
        chat = service.open(server.endpoint(), log=notes.append)
        list(chat.complete(conversations("a"), decoding=SHORT))
        assert notes == []
        list(chat.complete(conversations("ab"), decoding=SHORT))
        assert len(notes) == 1
        assert "scripted-v1, scripted-v2" in notes[0]


def test_a_server_that_changes_meanwhile_is_noted(service: ChatService) -> None:
    """Scenario 36: by its system_fingerprint, which each reply has; also when the answers are stored ones."""
    notes: list[str] = []

    def script(call: Any) -> Served:
        answer = completion("x")
        return replace(answer, body={**answer.body, "system_fingerprint": f"fp_{call.text}"})

    with ChatServer(script) as server:
        for _ in range(2):
            chat = service.open(server.endpoint(), log=notes.append)
            replies = list(chat.complete(conversations("ab"), decoding=SHORT))
    assert [reply.fingerprint for reply in replies] == ["fp_a", "fp_b"]
    assert [note.partition("was ")[2] for note in notes] == ["fp_a, fp_b"] * 2


def test_a_context_shows_progress_and_takes_notes(tmp_path: Path, settings: Any) -> None:
    """Through the context's own track; a context without a service has one on the user's store."""
    seen: list[tuple[int | None, str]] = []

    class Watched(HostContext):
        def track(self, items: Any, *, total: int | None = None, description: str = "") -> Any:
            seen.append((total, description))
            return super().track(items, total=total, description=description)

    ctx = Watched(seed=0, cache_dir=tmp_path)
    with ChatServer(echo) as server:
        replies = list(ctx.chat(server.endpoint("m")).complete(conversations("abc"), decoding=SHORT))
    assert [reply.text for reply in replies] == ["re: a", "re: b", "re: c"]
    assert seen == [(3, "m")]
    assert Path(os.environ["SELKIT_STORE"], "chat.sqlite3").exists()


ASK = """
import json, sys
from asking import ask, SHORT, conversations
from selkit.models.client import ChatService
from selkit.store import Store
with ChatService(Store(sys.argv[1])) as service:
    chat = service.open(sys.argv[2])
    replies = list(chat.complete(conversations(sys.argv[3].split(",")), decoding=SHORT))
print(json.dumps([[reply.text, reply.cached] for reply in replies]))
"""


@pytest.mark.slow
def test_another_process_finds_the_answers(service: ChatService) -> None:
    """And while two write at once, nothing is lost or damaged."""
    texts = [str(i) for i in range(60)]
    with ChatServer(echo, delay=0.01) as server:
        ask(service, server, texts[:20])
        command = [sys.executable, "-c", ASK, str(service.store.root), server.endpoint(), ",".join(texts[:40])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
            replies = ask(service, server, texts[30:])
            assert other.stdout is not None
            found = json.loads(other.stdout.read())
        assert other.returncode == 0
        assert [text for text, _ in found] == [f"re: {text}" for text in texts[:40]]
        assert all(cached for _, cached in found[:20])
        assert [reply.text for reply in replies] == [f"re: {text}" for text in texts[30:]]
        sent = len(server.calls)
        assert sent <= 70
        assert all(reply.cached for reply in ask(service, server, texts))
        assert len(server.calls) == sent
