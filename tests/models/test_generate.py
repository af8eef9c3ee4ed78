"""Files of responses: what stands in them, and that an interrupted call goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import PLAIN, DataError, Decoding, Example, Generation, UsageError
from selkit.models.generate import answer_rows, generate_responses
from selkit.pools import TestPrompt, TestSet

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"


def question_set(count: int = 6) -> TestSet:
    """Prompts of different lengths, the longest in the middle."""
    texts = [f"Question {n} " + "why " * (n % 4) for n in range(count)]
    return TestSet("six", tuple(TestPrompt(f"p{n}", Example(f"p{n}", text)) for n, text in enumerate(texts)))


class Echo:
    """A model that answers with its prompt, and fails after a given number of prompts."""

    ref = digest = "echo"

    def __init__(self, fails_after: int = 10**9) -> None:
        self.left = fails_after
        self.asked: list[str] = []

    def generate(self, prompts: Iterator[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """Each prompt, ``decoding.samples`` times."""
        for prompt in prompts:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.asked.append(prompt)
            yield [Generation(f" {prompt}{n}\n", "stop", 2) for n in range(decoding.samples)]


def rows_of(model: Any, partial: Path | None = None, samples: int = 1) -> list[dict[str, Any]]:
    """The answers of a model to the test set."""
    decoding = Decoding(samples=samples, temperature=float(samples > 1))
    return answer_rows(lambda: model, question_set(), PLAIN, decoding, partial=partial, block=2)


def test_rows_follow_the_test_set() -> None:
    """One row per prompt, in the order of the set, though the longest prompt is answered first."""
    model = Echo()
    rows = rows_of(model)
    assert [row["id"] for row in rows] == [f"p{n}" for n in range(6)]
    assert [len(text) for text in model.asked] == sorted((len(text) for text in model.asked), reverse=True)
    assert rows[1] == {
        "id": "p1",
        "prompt": "Question 1 why ",
        "response": "Question 1 why \n0",
        "finish_reason": "stop",
        "tokens": 2,
    }


def test_samples_are_numbered() -> None:
    """With several answers a prompt, each row says which one it is."""
    rows = rows_of(Echo(), samples=2)
    assert [(row["id"], row["sample"]) for row in rows] == [(f"p{n}", s) for n in range(6) for s in (0, 1)]


@pytest.mark.parametrize("samples", [1, 3])
def test_an_interrupted_call_goes_on_where_it_stopped(tmp_path: Path, samples: int) -> None:
    """At the last whole block of two: the rows are the same, and at most a block is answered again."""
    partial = tmp_path / "answers.jsonl"
    first = Echo(fails_after=4)
    with pytest.raises(KeyboardInterrupt):
        rows_of(first, partial, samples)
    lines = partial.read_text().splitlines(keepends=True)
    assert len(lines) == 4 * samples
    partial.write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])  # as a kill leaves it
    second = Echo()
    rows = rows_of(second, partial, samples)
    assert rows == rows_of(Echo(), samples=samples)
    assert second.asked == [*first.asked, *second.asked[-2:]][2:]
    third = Echo(fails_after=0)
    assert rows_of(third, partial, samples) == rows
    assert third.asked == []


def test_the_file_is_written_and_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model's answers: the same call takes them from the store, byte for byte, without the model."""
    pytest.importorskip("torch")
    output = tmp_path / "new" / "responses.jsonl"
    report = generate_responses(TINY, question_set(), output, max_new_tokens=5, template="plain", device="cpu")
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"p{n}" for n in range(6)]
    assert (report.prompts, report.answers, report.tokens) == (6, 6, sum(row["tokens"] for row in rows))
    before = output.read_bytes()
    monkeypatch.setattr("selkit.models.engines.load_model", None)
    again = generate_responses(TINY, question_set(), output, max_new_tokens=5, template="plain", device="cpu")
    assert (again, output.read_bytes()) == (report, before)


def test_settings_make_another_key(tmp_path: Path) -> None:
    """Template, length, seed of a sampled answer: each gives answers of its own; a greedy one has no seed."""
    pytest.importorskip("torch")

    def key(**settings: Any) -> str:
        base: dict[str, Any] = {"max_new_tokens": 2, "template": "plain", "device": "cpu", "force": True}
        return generate_responses(TINY, question_set(1), tmp_path / "r.jsonl", **base | settings).key

    assert key() == key(seed=9)
    sampled = {"decoding": "car"}
    assert len({key(), key(template="alpaca"), key(max_new_tokens=3), key(**sampled), key(**sampled, seed=1)}) == 5


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    """A file that holds something else stays, unless told otherwise; a folder is no file."""
    pytest.importorskip("torch")
    output = tmp_path / "responses.jsonl"
    output.write_text("precious\n")
    arguments: dict[str, Any] = {"max_new_tokens": 2, "template": "plain", "device": "cpu"}
    with pytest.raises(DataError, match="exists and holds something else"):
        generate_responses(TINY, question_set(), output, **arguments)
    assert output.read_text() == "precious\n"
    generate_responses(TINY, question_set(), output, **arguments, force=True)
    assert output.read_text() != "precious\n"
    with pytest.raises(DataError, match="is a folder"):
        generate_responses(TINY, question_set(), tmp_path, **arguments)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"decoding": "beam"}, UsageError, "choose one of greedy, car"),
        ({"samples": 2}, UsageError, "temperature above 0"),
        ({"template": "chat"}, UsageError, "has no chat template"),
        ({"model": "nowhere"}, DataError, "does not exist"),
        ({"prompts": "nowhere.jsonl"}, DataError, "nowhere.jsonl"),
    ],
)
def test_bad_settings_are_refused_before_a_model_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    """In one sentence, and nothing is written."""
    pytest.importorskip("torch")
    monkeypatch.setattr("selkit.models.engines.load_model", None)
    arguments: dict[str, Any] = {"model": TINY, "prompts": question_set(), "output": tmp_path / "r.jsonl"}
    with pytest.raises(error, match=says) as caught:
        generate_responses(**arguments | settings)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_prompts_beyond_the_context_leave_no_file(tmp_path: Path) -> None:
    """They are counted before the first answer is written."""
    pytest.importorskip("torch")
    long = TestSet("long", (TestPrompt("a", Example("a", "x" * 999)), TestPrompt("b", Example("b", "y"))))
    with pytest.raises(DataError, match="1 of 2 prompts fill the 256 tokens"):
        generate_responses(TINY, long, tmp_path / "r.jsonl", template="plain", device="cpu")
    assert not list(tmp_path.iterdir())
