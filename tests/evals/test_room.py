"""Questions that are longer than a model's context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lm_eval")

from hypothesis import given
from hypothesis import strategies as st
from toy_benchmark import Likelihoods, Riddles

from selkit.api import ALPACA, RAW, Continuation, Decoding, Example, Generation, TokenLosses
from selkit.evals import BenchmarkJob, benchmark_key, read_items, run_benchmark
from selkit.evals.room import fit
from selkit.store import Store

SHORT, LONG = "What is 1?", "x" * 300 + " What is 2?"


@dataclass
class Letters:
    """A model whose tokens are characters, with a start token, and that answers 'yes'."""

    context: int = 200
    asked: list[str] = field(default_factory=list)
    pairs: list[Continuation] = field(default_factory=list)
    ref: str = "letters"
    digest: str = "1" * 64

    def lengths(self, prompts: Iterable[str]) -> np.ndarray:
        """A token a character, and the start."""
        return np.array([len(prompt) + 1 for prompt in prompts])

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """'yes' to everything that leaves room for it."""
        for prompt in prompts:
            assert len(prompt) + 1 < self.context
            self.asked.append(prompt)
            yield [Generation("yes", "stop", 3)]

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[TokenLosses]:
        """A loss of 1 for every character of a completion that fits."""
        for pair in pairs:
            self.pairs.append(pair)
            room = max(0, self.context - 1 - len(pair.prompt))
            yield TokenLosses(np.ones(min(room, len(pair.completion)), np.float32), 1, False)


def items(benchmark: Riddles, model: Letters, tmp_path: Path, template: Any = RAW) -> list[dict[str, Any]]:
    """The items of a short and a long question, from an empty store."""
    data = tmp_path / "rows.jsonl"
    rows = [{"question": question, "answer": "1"} for question in (LONG, SHORT)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    job, store = BenchmarkJob(benchmark, {"test": data}), Store(tmp_path / "store")
    key = benchmark_key(job, model.digest, template, 1)
    return read_items(run_benchmark(job, key, lambda: model, template, store)).to_pylist()  # type: ignore[arg-type]


@pytest.mark.parametrize("template", [RAW, ALPACA], ids=lambda one: one.name)
def test_a_long_question_loses_its_beginning_and_is_flagged(template: Any, tmp_path: Path) -> None:
    """Its end, where the question is put, is asked with room for the whole answer; the template stays whole."""
    model = Letters(context=200 + len(template.prompt(Example("0", ""))))
    long, short = items(Riddles(), model, tmp_path, template)
    assert (long["truncated"], short["truncated"]) == (True, False)
    shortest, longest = sorted(model.asked, key=len)
    assert shortest == template.prompt(Example("0", SHORT))
    assert longest.startswith(template.prompt(Example("0", "")).split("###", maxsplit=1)[0][:10])
    assert "What is 2?" in longest
    assert len(longest) + 1 == model.context - 20  # the task's limit of tokens
    assert long["prompt"] == LONG


def test_choices_are_weighed_whole(tmp_path: Path) -> None:
    """Of a long question every choice keeps all its tokens: without the cut none would be left to compare."""
    model = Letters()
    long, short = items(Likelihoods(), model, tmp_path)
    assert (long["truncated"], short["truncated"]) == (True, False)
    assert {len(pair.prompt + pair.completion) + 1 for pair in model.pairs if "2?" in pair.prompt} == {200}
    assert all(pair.prompt.endswith("?") for pair in model.pairs)


@given(question=st.text(min_size=1, max_size=400), context=st.integers(20, 300), answer=st.integers(0, 400))
def test_the_prompt_fits_and_is_an_end_of_the_question(question: str, context: int, answer: int) -> None:
    """As long as possible; and whole where it fits."""
    fitted = fit(Letters(context), RAW, question, question, answer=answer)
    room = max(context - answer, context // 2)
    assert question.endswith(fitted.prompt)
    assert fitted.cut == (len(question) + 1 > room)
    assert len(fitted.prompt) + 1 == (room if fitted.cut else len(question) + 1)


def test_a_model_that_counts_no_tokens_gets_the_whole_question() -> None:
    """A server says itself what it refuses."""
    assert fit(object(), RAW, LONG, LONG) == (LONG, False)


def test_a_real_engine_weighs_the_end_of_the_question(tmp_path: Path) -> None:
    """The choices of a question over the context of a tiny Llama are as likely as lm-eval's own engine finds them after
    the longest end of it that fits beside the start token (which lm-eval itself would cut off)."""
    pytest.importorskip("torch")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from selkit.evals.lm import as_lm
    from selkit.models import load_model, resolve

    ref, choices = "tiny:bytes?context=128&layers=1", (" one", " two or three")
    kept = [LONG[-(127 - len(choice)) :] for choice in choices]

    def asked(questions: list[str]) -> list[Instance]:
        pairs = zip(questions, choices, strict=True)
        return [Instance("loglikelihood", {}, pair, number, metadata=("t", 0, 1)) for number, pair in enumerate(pairs)]

    mine = as_lm(lambda: load_model(ref, device="cpu"), RAW, None)
    found = [value for value, _ in mine.loglikelihood(asked([LONG, LONG]))]
    by_hand = HFLM(str(resolve(ref).path), device="cpu", dtype="float32").loglikelihood(asked(kept))
    assert found == pytest.approx([value for value, _ in by_hand], abs=1e-4)
    assert mine.cut == {0}
