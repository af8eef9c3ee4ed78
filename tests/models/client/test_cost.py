"""The cap on dollars: it is not passed, whatever happens, and by no number of processes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("openai")

from asking import ask

from selkit.api import Decoding, Outcome, UsageError
from selkit.models.client import ChatService
from selkit.models.client.cache import AnswerCache
from selkit.models.client.prices import Price
from selkit.store import Store
from selkit.testing import ChatServer, completion, failure

pytestmark = pytest.mark.usefixtures("settings")

ONE_DOLLAR = completion("x", usage=(0, 8))
"""An answer of one dollar under :func:`prices`, which is also the most that an answer of eight tokens can cost."""


@pytest.fixture(autouse=True)
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Input is free; an output token costs 12.5 cents."""
    (tmp_path / "prices.yaml").write_text("models: {scripted: {input: 0, output: 125000}}", "utf-8")
    monkeypatch.setenv("SELKIT_PRICES", str(tmp_path / "prices.yaml"))


def outcomes(replies: list[Any]) -> list[str]:
    """The outcomes, each once in a row."""
    found = [reply.outcome for reply in replies]
    return [a for a, b in zip(found, [None, *found], strict=False) if a != b]


def test_nothing_is_sent_that_could_pass_the_cap(store: Store) -> None:
    """Ten dollars buy ten answers; the rest is not sent and says why. More money buys the rest, and no answer twice."""
    texts = [str(i) for i in range(50)]
    with ChatServer(ONE_DOLLAR) as server:
        with ChatService(store, max_cost=10.0, purse="p") as service:
            replies = ask(service, server, texts)
        assert len(server.calls) == 10
        assert sum(reply.outcome == "ok" for reply in replies) == 10
        assert sum(reply.outcome == Outcome.BUDGET_STOP for reply in replies) == 40
        assert {reply.reason for reply in replies if reply.outcome != "ok"} == {
            "not asked: the cap of $10 could be passed"
        }
        with ChatService(store, max_cost=10.0, purse="p") as service:
            assert sum(reply.cached for reply in ask(service, server, texts)) == 10
        assert len(server.calls) == 10
        with ChatService(store, max_cost=12.0, purse="p") as service:
            ask(service, server, texts)
        assert len(server.calls) == 12
        with ChatService(store) as service:
            assert outcomes(ask(service, server, texts)) == ["ok"]
        assert len(server.calls) == 50


def test_what_was_spent_earlier_under_the_same_name_is_said(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, before anything is asked: two experiments of one name have one cap."""
    with ChatServer(ONE_DOLLAR) as server:
        for _ in range(2):
            with ChatService(store, max_cost=10.0, purse="p") as service:
                ask(service, server, "abc")
    assert capsys.readouterr().err.count("of the cap of $10, $3.00 were spent earlier under the same name") == 1


def test_what_an_answer_leaves_over_buys_more(store: Store) -> None:
    """Each sets aside a dollar and costs an eighth: nearly eighty answers for ten dollars, never one too many."""
    eighth = completion("x", usage=(0, 1), delay=0.01)
    with ChatServer(eighth) as server, ChatService(store, max_cost=10.0, concurrency=16) as service:
        replies = ask(service, server, [str(i) for i in range(200)])
    spent = len(server.calls) / 8
    assert 9.0 < spent <= 10.0
    assert sum(reply.outcome == "ok" for reply in replies) == len(server.calls)


def test_what_is_stored_costs_nothing(store: Store) -> None:
    """Scenario 40: cached answers are handed out after the cap is reached, too."""
    with ChatServer(ONE_DOLLAR) as server:
        with ChatService(store) as service:
            ask(service, server, "ab")
        with ChatService(store, max_cost=1.0) as service:
            assert [reply.outcome for reply in ask(service, server, "xyab")] == ["ok", "budget_stop", "ok", "ok"]


def test_no_cheaper_question_slips_through_after_the_cap(store: Store) -> None:
    """Scenario 37: which questions are answered must not depend on what they cost."""
    with ChatServer(ONE_DOLLAR) as server, ChatService(store, max_cost=1.5) as service:
        assert [reply.outcome for reply in ask(service, server, "ab")] == ["ok", "budget_stop"]
        cheap = ask(service, server, "c", decoding=Decoding(max_new_tokens=1))
        assert [reply.outcome for reply in cheap] == ["budget_stop"]
        assert len(server.calls) == 1


def test_a_cap_without_a_name_holds_for_its_service(store: Store) -> None:
    """And for its copies in other processes; the next service starts anew."""
    with ChatServer(ONE_DOLLAR) as server:
        for texts in ("01234", "56789"):
            with ChatService(store, max_cost=3.0) as service:
                copy = pickle.loads(pickle.dumps(service))  # noqa: S301
                answered = [
                    sum(reply.outcome == "ok" for reply in ask(each, server, texts)) for each in (service, copy)
                ]
                copy.close()
            assert answered == [3, 3]  # the copy finds those of the first
        assert len(server.calls) == 6


def test_purses_are_apart_and_shared_by_name(store: Store) -> None:
    """Two works have a cap each; two commands on one work have one."""
    with ChatServer(ONE_DOLLAR) as server:
        for purse, texts, answered in (("a", "01234", 3), ("b", "56789", 3), ("a", "xyz", 0)):
            with ChatService(store, max_cost=3.0, purse=purse) as service:
                assert sum(reply.outcome == "ok" for reply in ask(service, server, texts)) == answered


@pytest.mark.parametrize(
    ("trouble", "charged"),
    [
        (failure(500), 0.0),
        (failure(429), 0.0),
        (failure(400), 0.0),
        (completion("x", delay=5), 1.0),
        (completion("x", cut_after=30), 1.0),
        (completion("x", usage=None), 1.0),
        (completion("x", usage=(0, 2)), 0.25),
        (completion(None, refusal="no", usage=(0, 4)), 0.5),
    ],
)
def test_calls_are_charged_for_what_they_may_have_cost(
    store: Store, settings: Any, trouble: Any, charged: float
) -> None:
    """Scenario 30: an error costs nothing; an answer that got lost may have been paid for."""
    settings(timeout=1.0, retry_seconds=0)
    with ChatServer(trouble) as server, ChatService(store, max_cost=9.0, purse="p") as service:
        ask(service, server, "a")
    assert AnswerCache(store.root).spent("p") == pytest.approx(charged)


def test_every_try_sets_money_aside_again(store: Store, settings: Any) -> None:
    """Scenario 30: tries that time out may each be paid for: a dollar a time, and no more than the cap."""
    settings(timeout=0.2, retry_seconds=30, backoff=0.01)
    with ChatServer(completion("x", delay=5)) as server, ChatService(store, max_cost=3.0, purse="p") as service:
        reply = ask(service, server, "a")[0]
    assert reply.outcome == Outcome.BUDGET_STOP
    assert len(server.calls) == 3
    assert AnswerCache(store.root).spent("p") == pytest.approx(3.0)


def test_a_cap_needs_a_price(store: Store) -> None:
    """Refused when the endpoint is opened; a server of one's own can be said to cost nothing."""
    said = "price of other at http://localhost:1/v1 is not known"
    with ChatService(store, max_cost=1.0) as service, pytest.raises(UsageError, match=said):
        service.open("http://localhost:1/v1#other")
    Path(os.environ["SELKIT_PRICES"]).write_text("models: {other: {input: 0, output: 0}}", "utf-8")
    with ChatService(store, max_cost=1.0) as service:
        service.open("http://localhost:1/v1#other")


SPEND = """
import json, sys
from asking import SHORT, conversations
from selkit.models.client import ChatService
from selkit.store import Store
with ChatService(Store(sys.argv[1]), max_cost=20.0, purse="shared", concurrency=8) as service:
    chat = service.open(sys.argv[2])
    replies = list(chat.complete(conversations(f"{sys.argv[3]}-{i}" for i in range(60)), decoding=SHORT))
print(json.dumps([reply.outcome for reply in replies]))
"""


@pytest.mark.slow
def test_two_processes_share_a_cap(store: Store) -> None:
    """Scenario 38: twenty dollars are twenty answers, whoever asks."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ChatServer(completion("x", usage=(0, 8), delay=0.05)) as server:
        command = [sys.executable, "-c", SPEND, str(store.root), server.endpoint()]
        workers = [
            subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, env=environment) for name in "ab"
        ]
        found = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]
    assert len(server.calls) == 20
    assert sum(outcome == "ok" for each in found for outcome in each) == 20


@given(
    dollars=st.lists(st.floats(0.01, 3.0), max_size=30),
    cap=st.floats(0.1, 10.0),
    shares=st.lists(st.floats(0.0, 1.0), min_size=30, max_size=30),
)
@settings(max_examples=40, deadline=None)
def test_a_purse_never_holds_more_than_its_cap(
    tmp_path_factory: pytest.TempPathFactory, dollars: list[float], cap: float, shares: list[float]
) -> None:
    """Scenario 38: whatever is set aside and settled, in whatever order."""
    cache = AnswerCache(tmp_path_factory.mktemp("purse"))
    for asked, share in zip(dollars, shares, strict=False):
        before = cache.spent("p")
        if cache.reserve("p", asked, cap):
            assert before + asked <= cap
            cache.add([], purse="p", change=asked * share - asked)
        else:
            assert before + asked > cap
        assert cache.spent("p") <= cap + 1e-9
    cache.close()


@given(
    input_tokens=st.integers(0, 10**6),
    cached=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    price=st.builds(
        Price,
        input=st.floats(0, 100),
        output=st.floats(0, 100),
        cached_input=st.one_of(st.none(), st.floats(0, 100)),
    ),
)
def test_no_call_costs_more_than_was_set_aside(
    input_tokens: int, cached: int, output_tokens: int, price: Price
) -> None:
    """Whatever part of the input the server had in its cache."""
    usage = {"input": input_tokens, "cached_input": cached, "output": output_tokens}
    dollars = price.dollars({name: float(value) for name, value in usage.items()})
    assert dollars is not None
    assert dollars <= price.at_most(input_tokens, output_tokens) + 1e-9
