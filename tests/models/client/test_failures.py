"""Servers that fail: what is tried again, what ends the run, what a reply says, and what is stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

pytest.importorskip("openai")

from asking import SHORT, ask, conversations, echo

from selkit.api import ChatReply, DataError, Outcome, WorkFailed
from selkit.models.client import ChatService
from selkit.models.client.faults import Fault
from selkit.models.client.reach import Reach
from selkit.store import Store
from selkit.testing import ChatServer, Served, completion, failure


def first_then(first: Any, times: int = 1) -> Callable[[Any], Any]:
    """A script that answers every text with ``first`` for the first ``times`` times it is asked, then with an echo."""
    seen: Counter[str] = Counter()

    def script(call: Any) -> Any:
        seen[call.text] += 1
        return first if seen[call.text] <= times else echo(call)

    return script


def text_of(reply: ChatReply) -> str:
    """What the model wrote."""
    return reply.text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after-ms": "400"}, 0.4),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "400ms"}, 0.4),
    ],
)
def test_a_server_that_asks_to_wait_is_given_the_time(
    service: ChatService, headers: dict[str, str], seconds: float
) -> None:
    """Scenario 26: 429 with a time: the next try comes after it, and soon after it."""
    with ChatServer(first_then(failure(429, "rate_limit_exceeded", headers=headers))) as server:
        assert ask(service, server, ["q"])[0].text == "re: q"
    waited = server.calls[1].at - server.calls[0].at
    assert seconds <= waited < seconds + 5


def test_a_date_to_wait_for_is_honoured(service: ChatService) -> None:
    """Scenario 26: retry-After as an HTTP date, whole seconds."""
    asked: list[Any] = []

    def in_two_seconds(call: Any) -> Any:
        asked.append(call)
        headers = {"retry-after": formatdate(time.time() + 2, usegmt=True)}
        return failure(503, headers=headers) if len(asked) == 1 else echo(call)

    with ChatServer(in_two_seconds) as server:
        assert ask(service, server, ["q"])[0].text == "re: q"
    assert 0.9 <= server.calls[1].at - server.calls[0].at < 8


def test_a_wait_beyond_patience_is_not_shortened(service: ChatService, settings: Any) -> None:
    """A server that asks for an hour is not asked again before; the reply says so at once."""
    settings(retry_seconds=3)
    with ChatServer(failure(429, "rate_limit_exceeded", headers={"retry-after": "3600"})) as server:
        reply = ask(service, server, ["q"])[0]
    assert len(server.calls) == 1
    assert reply.outcome == Outcome.API_ERROR
    assert "429" in reply.reason


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_passing_failures_are_tried_again(service: ChatService, status: int) -> None:
    """Twice, with growing pauses that differ from request to request."""
    if status == 529:
        trouble: Any = Served({"error": {"message": "overloaded"}}, 503)
    else:
        trouble = failure(status)
    with ChatServer(first_then(trouble, times=2)) as server:
        replies = ask(service, server, ["a", "b", "c"])
    assert [reply.text for reply in replies] == ["re: a", "re: b", "re: c"]
    assert len(server.calls) == 9


@pytest.mark.slow
def test_a_server_that_asks_for_less_is_asked_for_less(store: Store, settings: Any) -> None:
    """Scenario 26: a server that takes four requests at once refuses the rest: all are answered in the end, and the
    pace falls."""
    settings(concurrency=64, retry_seconds=60, backoff=0.2)
    under_way: list[int] = []

    def script(call: Any) -> Any:
        under_way.append(server.under_way)
        if server.under_way > 4:
            gathers = len(under_way) <= 64
            return failure(429, "rate_limit_exceeded", delay=0.5 if gathers else 0.0)
        return completion(echo(call), delay=0.05)

    with ChatServer(script) as server, ChatService(store) as service:
        replies = ask(service, server, [str(i) for i in range(200)])
    assert [reply.text for reply in replies] == [f"re: {i}" for i in range(200)]
    assert max(under_way[:64]) > 16
    assert max(under_way[-60:]) <= 16


@pytest.mark.parametrize("cut_after", [0, 20, 200])
def test_a_dropped_connection_is_tried_again(service: ChatService, cut_after: int) -> None:
    """Scenario 29: before the first byte, within the head, and within the body."""
    with ChatServer(first_then(completion("never whole", cut_after=cut_after))) as server:
        assert [reply.text for reply in ask(service, server, ["a", "b"])] == ["re: a", "re: b"]
    assert len(server.calls) == 4


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", '{"choices": [{"mess', "", {"error": "busy"}])
def test_a_body_without_an_answer_is_tried_again(service: ChatService, body: Any) -> None:
    """A proxy's page or half a body under status 200 is trouble on the way, and is never stored as an answer."""
    with ChatServer(first_then(Served(body))) as server:
        assert [reply.text for reply in ask(service, server, ["a", "b"])] == ["re: a", "re: b"]
        assert all(reply.cached for reply in ask(service, server, ["a", "b"]))
    assert len(server.calls) == 4


@pytest.mark.parametrize(
    ("trouble", "outcome", "said"),
    [
        (failure(500, message="broken"), Outcome.API_ERROR, "HTTP 500 error: broken"),
        (completion("x", cut_after=0), Outcome.API_ERROR, "the server dropped the connection"),
        (completion("x", cut_after=150), Outcome.API_ERROR, "the server dropped the connection"),
        (completion("x", delay=5.0), Outcome.TIMEOUT, "no answer within 0.3 s"),
        (completion("x" * 2000, trickle=0.05), Outcome.TIMEOUT, "no answer within 0.3 s"),
        (Served("<html>gateway</html>"), Outcome.API_ERROR, "the server's answer is not valid JSON"),
        (Served('{"choices": [{"mess'), Outcome.API_ERROR, "the server's answer is not valid JSON"),
        (Served("[1, 2]"), Outcome.API_ERROR, "the server's answer is not valid JSON"),
        (Served({"choices": []}), Outcome.API_ERROR, "the server's answer holds no message"),
        (Served({"choices": [{"message": None}]}), Outcome.API_ERROR, "the server's answer holds no message"),
        (failure(400, "content_filter", "filtered"), Outcome.CONTENT_FILTER, "HTTP 400 content_filter: filtered"),
        (failure(400, "context_length_exceeded", "too long"), Outcome.TRUNCATED, "HTTP 400 context_length_exceeded"),
        (
            failure(400, message="This model's maximum context length is 2048 tokens"),
            Outcome.TRUNCATED,
            "the prompt is too long for the model",
        ),
        (failure(422, message="no such field"), Outcome.API_ERROR, "HTTP 422"),
    ],
)
def test_a_failure_is_a_reply_and_is_not_stored(
    service: ChatService, settings: Any, trouble: Served, outcome: Outcome, said: str
) -> None:
    """Scenario 31: it says what happened, and the same request is sent again the next time."""
    settings(timeout=0.3 if outcome == Outcome.TIMEOUT else 5.0, retry_seconds=0)
    with ChatServer(first_then(trouble)) as server:
        reply = ask(service, server, ["q"])[0]
        assert (reply.outcome, reply.text, reply.cached) == (outcome, "", False)
        assert said in reply.reason
        settings()
        service.close()
        assert ask(service, server, ["q"])[0].text == "re: q"
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("answer", "outcome", "text", "said"),
    [
        (completion(None, refusal="I won't."), Outcome.REFUSAL, "", "I won't."),
        (completion("half", finish_reason="length"), Outcome.TRUNCATED, "half", "token limit"),
        (completion(None, finish_reason="length"), Outcome.TRUNCATED, "", "token limit"),
        (completion("", finish_reason="content_filter"), Outcome.CONTENT_FILTER, "", "content filter"),
        (completion("part", finish_reason="content_filter"), Outcome.CONTENT_FILTER, "", "content filter"),
        (completion(""), Outcome.MALFORMED, "", "the answer is empty (finish_reason stop)"),
        (completion(None, finish_reason="tool_calls"), Outcome.MALFORMED, "", "finish_reason tool_calls"),
        (completion("fine", usage=None), Outcome.OK, "fine", ""),
        (completion("fine", finish_reason=None), Outcome.OK, "fine", ""),
    ],
)
def test_an_answer_that_was_paid_for_is_stored_as_it_is(
    service: ChatService, answer: Served, outcome: Outcome, text: str, said: str
) -> None:
    """Refused, filtered, cut or empty: it is not asked for again."""
    with ChatServer(answer) as server:
        for cached in (False, True):
            reply = ask(service, server, ["q"])[0]
            assert (reply.outcome, reply.text, reply.cached) == (outcome, text, cached)
            assert said in reply.reason
    assert len(server.calls) == 1


def test_missing_counts_and_log_probabilities_are_missing(service: ChatService) -> None:
    """No usage: no tokens are made up. No logprobs: none are returned, and the answer stands."""
    with ChatServer(completion("x", usage=None)) as server:
        reply = ask(service, server, ["q"], logprobs=5)[0]
    assert (reply.text, reply.outcome, reply.usage, reply.logprobs) == ("x", "ok", {}, ())


FATAL = [
    (failure(429, "insufficient_quota", "You exceeded your current quota"), WorkFailed, "has no money left"),
    (failure(402, "payment_required"), WorkFailed, "has no money left"),
    (failure(401, "invalid_api_key", "Incorrect API key"), DataError, "refuses the key"),
    (failure(403, "forbidden"), DataError, "refuses the key"),
    (failure(404, "model_not_found", "The model does not exist"), DataError, "does not know the model"),
]


@pytest.mark.parametrize(("trouble", "error", "said"), FATAL)
def test_what_cannot_get_better_ends_the_run(
    store: Store, settings: Any, trouble: Served, error: type[Exception], said: str
) -> None:
    """Scenario 27: at once, without another try; the replies before it are handed out, and what was paid for is
    stored."""
    with ChatServer(lambda call: trouble if call.number == 6 else completion(echo(call), delay=0.01)) as server:
        with ChatService(store, concurrency=1) as service:
            chat = service.open(server.endpoint())
            replies = chat.complete(conversations(str(i) for i in range(200)), decoding=SHORT)
            got = []
            with pytest.raises(error, match=said):
                got.extend(map(text_of, replies))
        assert got == [f"re: {i}" for i in range(5)]
        assert len(server.calls) == 6
        with ChatService(store) as service:
            again = ask(service, server, [str(i) for i in range(5)])
        assert all(reply.cached for reply in again)
        assert len(server.calls) == 6


@pytest.mark.parametrize(("trouble", "error", "said"), FATAL[:3])
def test_requests_under_way_are_waited_for_when_the_run_ends(
    store: Store, settings: Any, trouble: Served, error: type[Exception], said: str
) -> None:
    """The server has been asked and will be paid: its answers are stored, and asked for once."""
    slow = lambda call: trouble if call.text == "0" else completion(echo(call), delay=0.4)  # noqa: E731
    texts = [str(i) for i in range(30)]
    with ChatServer(slow) as server, ChatService(store, concurrency=8) as service:
        with pytest.raises(error, match=said):
            ask(service, server, texts)
        assert len(server.calls) == 8
        server.script = echo
        assert sum(reply.cached for reply in ask(service, server, texts)) == 7


def test_no_try_is_waited_for_when_the_run_ends(store: Store, settings: Any) -> None:
    """A request between two tries is given up at once."""
    settings(backoff=1.0, retry_seconds=60)
    trouble = {"a": failure(500, headers={"retry-after": "30"}), "b": failure(401, message="no", delay=0.2)}
    with ChatServer(lambda call: trouble[call.text]) as server, ChatService(store) as service:
        began = time.monotonic()
        with pytest.raises(DataError, match="refuses the key"):
            ask(service, server, ["a", "b"])
    assert time.monotonic() - began < 20


def test_a_server_that_is_down_ends_the_run(store: Store, settings: Any) -> None:
    """Scenario 29: after so many requests in a row that failed for good: the rest is not sent, and can be sent
    later."""
    settings(retry_seconds=0, concurrency=4, breaker=6)
    texts = [str(i) for i in range(100)]
    with ChatServer(lambda call: echo(call) if int(call.text) < 10 else failure(503, message="down")) as server:
        with ChatService(store) as service, pytest.raises(WorkFailed, match=r"failed 6 requests in a row.*HTTP 503"):
            ask(service, server, texts)
        assert 16 <= len(server.calls) <= 20
        server.script = echo
        with ChatService(store) as service:
            assert sum(reply.cached for reply in ask(service, server, texts)) == 10


def test_requests_that_are_refused_one_by_one_do_not_end_the_run(store: Store, settings: Any) -> None:
    """Each in its own way; but the same refusal again and again (a setting that the server lacks) does."""
    settings(breaker=5)
    with ChatServer(lambda call: failure(400, "invalid_prompt", f"no {call.text}")) as server:
        with ChatService(store, concurrency=2) as service:
            replies = ask(service, server, [str(i) for i in range(30)])
        assert {reply.outcome for reply in replies} == {Outcome.API_ERROR}
        assert len(server.calls) == 30
    same = failure(400, "unsupported_parameter", "no temperature")
    with ChatServer(same) as server, ChatService(store, concurrency=2) as service:
        with pytest.raises(WorkFailed, match="no temperature"):
            ask(service, server, [str(i) for i in range(100)])
        assert len(server.calls) < 10


def test_a_server_that_was_never_there_ends_the_run_soon(store: Store, settings: Any) -> None:
    """A wrong port is told long before requests are given up; one that was there has all their time."""
    settings(retry_seconds=600, contact_seconds=0.3, backoff=0.05, concurrency=2)
    with ChatServer("x") as server:
        gone = server.endpoint()
    with ChatService(store) as service:
        chat = service.open(gone)
        with pytest.raises(
            DataError, match=r"cannot be reached .* for \d+ s, and was never reached: start it, or mend"
        ):
            list(chat.complete(conversations("abcdefgh"), decoding=SHORT))


def test_a_server_that_is_late_is_waited_for() -> None:
    """Refused first, there within its time: later refusals are passing faults, and so is all that it says itself."""
    unsent, busy = Fault("refused", transient=True, unsent=True), Fault("busy", transient=True)
    assert Reach(60).failed(unsent) is None
    for there in (lambda reach: reach.reached(), lambda reach: reach.failed(busy)):
        reach = Reach(0)
        there(reach)
        assert reach.failed(unsent) is None
    assert Reach(0).failed(unsent) == 0


def test_a_server_that_is_not_there(store: Store, settings: Any) -> None:
    """Scenario 29: is not asked for ever: the run ends and says so."""
    settings(retry_seconds=0, breaker=3, concurrency=2)
    with ChatServer("x") as server:
        gone = server.endpoint()
    with ChatService(store) as service:
        chat = service.open(gone)
        with pytest.raises(WorkFailed, match="cannot be reached"):
            list(chat.complete(conversations("abcdefgh"), decoding=SHORT))
