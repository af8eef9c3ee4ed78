"""Penalties and beams in batches: padding counts for nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

pytest.importorskip("torch")

from selkit.api import Decoding
from selkit.models import load_model

PROMPTS = ["a long prompt that the others are padded to", "short", "another one"]


@pytest.mark.parametrize("beams", [1, 3])
def test_padding_is_not_taken_for_something_said(beams: int) -> None:
    """Where the padding is a token that the model likes to write, a batch writes what each prompt gets alone.

    A tokenizer without padding is given its end token for it, and an answer whose end is penalised goes on.
    """
    engine: Any = load_model("tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=11", device="cpu")
    free = Decoding(max_new_tokens=12, repetition_penalty=3.0, num_beams=beams)
    plain = [next(engine.generate([prompt], free))[0].text for prompt in PROMPTS]
    said = set(PROMPTS[1]) | set(PROMPTS[2])
    liked = next(letter for letter, _ in Counter("".join(plain[1:])).most_common() if letter not in said)
    before = engine.tokenizer.pad_token
    try:
        engine.tokenizer.pad_token = liked
        alone = [next(engine.generate([prompt], free))[0].text for prompt in PROMPTS]
        together = [found[0].text for found in engine.generate(PROMPTS, free)]
    finally:
        engine.tokenizer.pad_token = before
    assert together == alone
    assert alone[1:] != plain[1:]  # the padding ends an answer, so that it was indeed written
