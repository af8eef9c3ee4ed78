"""The parts of the client that need no server: references, requests, readings of answers, waits, settings, prices."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import make_pool

from selkit.api import (
    Comparison,
    Context,
    DataError,
    Decoding,
    Judgement,
    Outcome,
    PairwiseJudge,
    Pool,
    Scorer,
    Turn,
    UsageError,
    WorkFailed,
)
from selkit.judge.engine import judging_key
from selkit.models.client import parse_endpoint
from selkit.models.client.answer import is_answer, read_body, reply_of
from selkit.models.client.cache import _kind
from selkit.models.client.conversation import folded, messages_of
from selkit.models.client.endpoints import Endpoint
from selkit.models.client.faults import asked_wait, duration, status_fault
from selkit.models.client.prices import read_prices
from selkit.models.client.request import Asking
from selkit.models.client.settings import EndpointSettings, read_settings, settings_of
from selkit.select import score_key

TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=5)), max_size=8)


def test_importing_the_client_is_light() -> None:
    """What sends requests, and what reads settings, loads when it is needed."""
    heavy = ("openai", "aiohttp", "httpx2", "anyio", "tenacity", "pydantic", "sqlite3", "torch")
    code = f"import sys, selkit.models.client; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_references_of_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind, and the address that the environment names; anything else is a model reference."""
    openai = Endpoint("https://api.openai.com/v1", "gpt-4o", openai=True, key_variable="OPENAI_API_KEY")
    assert parse_endpoint("openai:gpt-4o") == openai
    assert parse_endpoint("http://localhost:8000/v1#org/a:b") == Endpoint("http://localhost:8000/v1", "org/a:b")
    assert parse_endpoint("HTTPS://host/v1/#m#2") == Endpoint("HTTPS://host/v1", "m#2")
    for ref in ("tiny:llama", "hub:org/name", "pypi:a==1", "folder/model"):
        assert parse_endpoint(ref) is None
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy:1234/openai/")
    found = parse_endpoint("openai:gpt-4o")
    assert found is not None
    assert (found.url, found.openai) == ("http://proxy:1234/openai", True)


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("openai:", "names no model"),
        ("openai:  ", "names no model"),
        ("http://localhost:8000/v1", r"write http://localhost:8000/v1#MODEL"),
        ("http://localhost:8000/v1#", "names no model"),
        ("http://#m", "is no address"),
        ("http://[::1#m", "is no address"),
        ("http://user:pw-9876@host/v1#m", "holds a login or a query"),
        ("https://host/v1?api-key=pw-9876#m", "holds a login or a query"),
    ],
)
def test_bad_references_are_refused(ref: str, said: str) -> None:
    """In a sentence that shows no secret."""
    with pytest.raises(UsageError, match=said) as caught:
        parse_endpoint(ref)
    assert "pw-9876" not in str(caught.value)


def test_a_secret_in_the_address_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stand in every key and manifest."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:pw-9876@host")
    with pytest.raises(UsageError, match=r"\$OPENAI_BASE_URL holds a login") as caught:
        parse_endpoint("openai:gpt-4o")
    assert "pw-9876" not in str(caught.value)


@dataclass
class Graded(Scorer):
    """A scorer that asks an endpoint.

    Args:
        endpoint: Who is asked.
    """

    name = "graded"
    endpoint: str = "openai:gpt-4o"

    def score(self, pool: Pool, ctx: Context) -> Iterable[float]:
        """Not asked here."""
        return []


@dataclass
class Judging(PairwiseJudge):
    """A judge that asks an endpoint.

    Args:
        endpoint: Who is asked.
    """

    name = "judging"
    endpoint: str = "openai:gpt-4o"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Not asked here."""
        return []


def test_the_same_name_at_another_server_is_another_scorer_and_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OPENAI_BASE_URL makes of a reference stands in keys; OpenAI's own address changes none."""
    pool, asked = make_pool(3), [Comparison("c", "p", "a", "b")]

    def keys(**parameters: str) -> tuple[str, str]:
        return score_key(Graded(**parameters), pool).digest, judging_key(Judging(**parameters), asked).digest

    usual, own = keys(), keys(endpoint="http://host/v1#gpt-4o")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1/")
    assert keys() == usual
    monkeypatch.setenv("OPENAI_BASE_URL", "http://host/v1")
    assert not set(keys()) & set(usual)
    assert keys() == keys()
    assert keys(endpoint="http://host/v1#gpt-4o") == own


@given(turns=TURNS)
def test_folding_loses_no_text_and_no_order(turns: list[tuple[str, str]]) -> None:
    """What is said stays in order; no system turn is left; turns that were none stay as they are without one."""
    given_turns = [Turn(*turn) for turn in [*turns, ("user", "last")]]
    result = folded(given_turns)
    assert all(turn.role != "system" for turn in result)
    others = [turn for turn in given_turns if turn.role != "system"]
    assert [turn.role for turn in result] == [turn.role for turn in others]
    assert all(new.content.endswith(old.content) for new, old in zip(result, others, strict=True))
    # what system and user say stands in the user's turns, in order (line breaks aside, which folding adds)
    said = "".join(turn.content for turn in given_turns if turn.role != "assistant")
    kept = "".join(turn.content for turn in result if turn.role == "user")
    assert kept.replace("\n", "") == said.replace("\n", "")
    if len(others) == len(given_turns):
        assert result == given_turns


def test_folding_puts_the_system_turn_first() -> None:
    """Two line breaks between."""
    turns = [Turn("system", "S"), Turn("user", "U"), Turn("assistant", "A"), Turn("system", "T"), Turn("user", "V")]
    assert messages_of(turns, fold_system=True) == [
        {"role": "user", "content": "S\n\nU"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "T\n\nV"},
    ]


def asking(**changes: Any) -> Asking:
    """How a conversation is put to an endpoint, with changes."""
    return Asking(**{"endpoint": Endpoint("http://h/v1", "m"), "decoding": Decoding(), **changes})


GOLDEN = "7779bcf26ff6308f39460c737e8965b0d4ca5cf4279d75957cf0f8bbba59a3ee"


def test_the_digest_of_a_request_is_what_its_answer_depends_on() -> None:
    """Golden, since stored answers are found by it; and each part changes it."""
    base = asking().request([Turn("user", "q")])
    assert base.text == '{"max_tokens":512,"messages":[{"content":"q","role":"user"}],"model":"m","temperature":0.0}'
    assert base.digest.hex() == GOLDEN
    others = [
        asking(endpoint=Endpoint("http://h/v2", "m")),
        asking(endpoint=Endpoint("http://h/v1", "n")),
        asking(decoding=Decoding(temperature=0.5)),
        asking(decoding=Decoding(max_new_tokens=511)),
        asking(decoding=Decoding(stop=("x",))),
        asking(seed=0),
        asking(sample=1),
        asking(logprobs=1),
        asking(extra={"a": 1}),
    ]
    digests = {each.request([Turn("user", "q")]).digest for each in others}
    digests |= {asking().request([Turn("user", text)]).digest for text in ("q ", "Q", "")}
    assert len({base.digest, *digests}) == 13
    assert asking().request((("user", "q"),)).digest == base.digest  # type: ignore[arg-type]


def test_openai_refuses_what_it_lacks() -> None:
    """Instead of leaving it out, which would be another decoding."""
    openai = parse_endpoint("openai:gpt-4o")
    for decoding in (Decoding(top_k=5), Decoding(repetition_penalty=1.2)):
        with pytest.raises(UsageError, match="neither top_k nor repetition_penalty"):
            asking(endpoint=openai, decoding=decoding)


FIELDS = [
    "choices",
    "message",
    "content",
    "refusal",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "logprobs",
    "token",
    "logprob",
    "top_logprobs",
    "model",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(value=JSON)
def test_no_body_whatever_breaks_the_reading(value: Any) -> None:
    """A reply with an outcome comes of everything; a text only of what is fine or cut; no made-up numbers."""
    body = read_body(json.dumps(value))
    reply = reply_of(body)
    assert reply.outcome in set(Outcome)
    assert (reply.outcome == Outcome.OK) == bool(reply.text and reply.outcome != Outcome.TRUNCATED)
    assert bool(reply.reason) == (reply.outcome != Outcome.OK)
    assert all(count >= 0 for count in reply.usage.values())
    if not is_answer(body):
        assert reply.outcome == Outcome.MALFORMED


@given(text=st.text(max_size=40))
def test_no_text_whatever_breaks_the_reading(text: str) -> None:
    """Also what is no JSON at all, nested without end, or cut."""
    assert reply_of(read_body(text)).outcome == Outcome.MALFORMED
    assert read_body("[" * 100_000) is None


@pytest.mark.parametrize(
    ("message", "text", "outcome"),
    [
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}, '{"a": 1}', "ok"),
        ({"content": "said", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "said", "ok"),
        ({"content": "", "tool_calls": [{"function": {"name": "f"}}]}, "", "malformed"),
        ({"content": None, "tool_calls": []}, "", "malformed"),
        ({"content": 5, "tool_calls": None}, "", "malformed"),
    ],
)
def test_the_arguments_of_a_tool_stand_for_an_answer(message: dict[str, Any], text: str, outcome: str) -> None:
    """Where a request has tools and the model wrote nothing else."""
    reply = reply_of({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    assert (reply.text, reply.outcome) == (text, outcome)


def test_a_real_answer_is_read() -> None:
    """One as OpenAI's API sent it, shortened."""
    body = {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_07871e2ad8",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "m", "refusal": None, "annotations": []},
                "logprobs": {
                    "content": [
                        {
                            "token": "m",
                            "logprob": -0.0001,
                            "bytes": [109],
                            "top_logprobs": [
                                {"token": "m", "logprob": -0.0001, "bytes": [109]},
                                {"token": "M", "logprob": -9.5, "bytes": [77]},
                            ],
                        }
                    ],
                    "refusal": None,
                },
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": 1117,
            "completion_tokens": 1,
            "total_tokens": 1118,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        },
    }
    reply = reply_of(read_body(json.dumps(body)))
    assert (reply.text, reply.outcome) == ("m", Outcome.TRUNCATED)
    assert reply.usage == {"input": 1117, "output": 1, "cached_input": 1024}
    assert reply.logprobs == ({"m": -0.0001, "M": -9.5},)
    assert (reply.model, reply.fingerprint) == ("gpt-4o-2024-08-06", "fp_07871e2ad8")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("1h2m3s", 3723), ("2m59.56s", 179.56), ("7.5", 7.5), ("-3", 0)],
        *[("", None), ("soon", None), ("5 s", None)],
    ],
)
def test_durations_as_openai_writes_them(text: str, seconds: float | None) -> None:
    """And bare numbers; anything else says nothing."""
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": "whenever"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8.64s"}, 8.64),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "8.64s"}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    ],
)
def test_the_wait_that_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    """In each of the forms in which servers say it."""
    assert asked_wait(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("status", "code", "transient", "crowded", "outcome", "fatal"),
    [
        (408, "", True, False, Outcome.API_ERROR, None),
        (409, "", True, False, Outcome.API_ERROR, None),
        (429, "rate_limit_exceeded", True, True, Outcome.API_ERROR, None),
        (429, "insufficient_quota", False, False, Outcome.API_ERROR, WorkFailed),
        (402, "", False, False, Outcome.API_ERROR, WorkFailed),
        (401, "invalid_api_key", False, False, Outcome.API_ERROR, DataError),
        (403, "", False, False, Outcome.API_ERROR, DataError),
        (404, "model_not_found", False, False, Outcome.API_ERROR, DataError),
        (400, "context_length_exceeded", False, False, Outcome.TRUNCATED, None),
        (400, "content_filter", False, False, Outcome.CONTENT_FILTER, None),
        (400, "content_policy_violation", False, False, Outcome.CONTENT_FILTER, None),
        (413, "", False, False, Outcome.API_ERROR, None),
        (422, "", False, False, Outcome.API_ERROR, None),
        (302, "", False, False, Outcome.API_ERROR, None),
        (500, "", True, False, Outcome.API_ERROR, None),
        (503, "", True, False, Outcome.API_ERROR, None),
        (529, "overloaded_error", True, True, Outcome.API_ERROR, None),
    ],
)
def test_what_a_status_means(
    status: int, code: str, transient: bool, crowded: bool, outcome: Outcome, fatal: type[Exception] | None
) -> None:
    """Rule 4 of the reliability notes: what is tried again, what is not, what ends the run."""
    fault = status_fault(status, {}, {"error": {"message": "why", "code": code or None}}, "m at http://h")
    assert (fault.transient, fault.crowded, fault.outcome) == (transient, crowded, outcome)
    assert (fault.fatal is None) if fatal is None else type(fault.fatal) is fatal
    assert f"HTTP {status}{' ' + code if code else ''}: why" in fault.reason


def test_a_model_that_a_server_has_retired() -> None:
    """One sentence that says so and what to do; a wrong address is told otherwise, since it names no model."""
    said = "The model `gpt-4o-2024-08-06` has been deprecated"
    fault = status_fault(404, {}, {"error": {"message": said, "code": "model_not_found"}}, "gpt-4o-2024-08-06 at x")
    assert str(fault.fatal) == (
        "gpt-4o-2024-08-06 at x does not know the model, which may be misspelt or retired (HTTP 404 model_not_found: "
        f"{said}): the answers so far are stored; name another one, which is then asked everything anew, and run again"
    )
    assert "does not know the model or the address" in str(status_fault(404, {}, "Not Found", "m").fatal)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "plain words"}, "HTTP 500: plain words"),
        ({"detail": "of FastAPI"}, "HTTP 500: of FastAPI"),
        ({"message": "m", "type": "t", "code": 17}, "HTTP 500 17: m"),
        ("<html>\n  gateway   time-out", "HTTP 500: <html> gateway time-out"),
        (None, "HTTP 500"),
        ([1], "HTTP 500: [1]"),
        ({"error": {"message": "x" * 1000}}, "HTTP 500: " + "x" * 300),
    ],
)
def test_what_servers_say_of_an_error(body: Any, reason: str) -> None:
    """In whatever form, in one line of bounded length."""
    assert status_fault(500, {}, body, "m").reason == reason


def test_settings_are_found_by_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the configuration folder or in a file that a variable names; 'default' holds for all other addresses."""
    here, there = Endpoint("http://a/v1", "m"), Endpoint("http://b/v1", "m")
    assert settings_of(here) == EndpointSettings()
    folder = tmp_path / "config/selkit"
    folder.mkdir(parents=True)
    (folder / "endpoints.yaml").write_text("http://a/v1/: {timeout: 3}\ndefault: {concurrency: 2}", "utf-8")
    assert settings_of(here) == EndpointSettings(timeout=3)
    assert settings_of(there) == EndpointSettings(concurrency=2)
    (tmp_path / "other.yaml").write_text("", "utf-8")
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(tmp_path / "other.yaml"))
    assert settings_of(here) == EndpointSettings()
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(tmp_path / "gone.yaml"))
    with pytest.raises(UsageError, match=r"\$SELKIT_ENDPOINTS names .*gone\.yaml, which is no file"):
        read_settings()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("default: {key: sk-secret-123}", "default.key: Extra inputs are not permitted"),
        ("default: {key_variable: sk-secret-123}", "default.key_variable: String should match pattern"),
        ("default: {concurrency: 0}", "default.concurrency"),
        ("default: {timeout: never}", "default.timeout"),
        ("- sk-secret-123", "the whole"),
        ("a: [sk-secret-123", "cannot be read as YAML"),
        ("\x00", "cannot be read as YAML"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str) -> None:
    """Which file, which entry, why; never the value, which may be a key in the wrong place."""
    (tmp_path / "endpoints.yaml").write_text(content, "utf-8")
    monkeypatch.setenv("SELKIT_ENDPOINTS", str(tmp_path / "endpoints.yaml"))
    with pytest.raises(UsageError, match=r"endpoints\.yaml") as caught:
        read_settings()
    assert said in str(caught.value)
    assert "sk-secret-123" not in str(caught.value)
    assert "sk-secret-123" not in repr(caught.value.__cause__)


def test_prices_that_selkit_brings_along() -> None:
    """Two that the papers' costs rest on, with the day on which they were read."""
    table = read_prices()
    openai = parse_endpoint("openai:gpt-4o-2024-08-06")
    assert openai is not None
    price = table.of(openai)
    assert price is not None
    assert price.dollars({"input": 1e6, "output": 1e6}) == pytest.approx(12.50)
    assert price.dollars({"input": 1e6, "output": 0, "cached_input": 1e6}) == pytest.approx(1.25)
    assert price.dollars({"output": 3}) is None
    assert table.source(openai) == "list prices of 2026-11-21"
    assert table.of(Endpoint("http://localhost/v1", "gpt-4o-2024-08-06")) is None
    assert table.of(Endpoint("https://api.openai.com/v1", "gpt-99", openai=True)) is None


def test_own_prices_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By address and model, then by model, then what selkit brings along; zero is a price."""
    path = tmp_path / "p.yaml"
    path.write_text("models: {m: {input: 1, output: 1}, 'http://a#m': {input: 0, output: 0}}", "utf-8")
    monkeypatch.setenv("SELKIT_PRICES", str(path))
    table = read_prices()
    openai = parse_endpoint("openai:gpt-4o-mini")
    assert openai is not None
    found = [table.of(each) for each in (Endpoint("http://a", "m"), Endpoint("http://b", "m"), openai)]
    assert [price and (price.input, price.output) for price in found] == [(0, 0), (1, 1), (0.15, 0.6)]
    assert table.source(Endpoint("http://b", "m")) == "own prices"
    path.write_text("models: {m: {input: -1, output: 1}}", "utf-8")
    with pytest.raises(UsageError, match=r"models\.m\.input"):
        read_prices()


MOUNTS = """\
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /data rw - nfs4 server:/data rw
31 30 0:27 / /data/local\\040disk rw - xfs /dev/sdb rw
32 22 0:28 / /database rw - tmpfs tmpfs rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/", "ext4"), ("/data/x", "nfs4"), ("/data/local disk/y", "xfs"), ("/database", "tmpfs"), ("/dat", "ext4")],
)
def test_the_file_system_of_a_folder(folder: str, kind: str) -> None:
    """The innermost mount decides; names with blanks are written in octal."""
    assert _kind(Path(folder), MOUNTS.splitlines()) == kind


def test_the_pace_halves_once_for_requests_that_went_out_together() -> None:
    """And grows back by one with each round of answers, up to what it was."""
    pytest.importorskip("anyio")
    from selkit.models.client.pace import Pace

    async def limits() -> list[int]:
        pace = Pace(16)
        pace.crowded(sent=10.0)
        found = [pace.limit]
        for _ in range(10):
            pace.crowded(sent=10.0)  # sent before the halving
        found.append(pace.limit)
        for _ in range(8 + 9 + 10):
            pace.answered()
        found.append(pace.limit)
        for _ in range(1000):
            pace.answered()
        found.append(pace.limit)
        for _ in range(10):
            pace.crowded(sent=float("inf"))
        return [*found, pace.limit]

    assert asyncio.run(limits()) == [8, 8, 11, 16, 1]
