"""How a model writes its answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decoding:
    """Settings of text generation.

    Args:
        max_new_tokens: Longest answer, in tokens of the model.
        temperature: 0 is greedy; above 0 the answer is sampled.
        top_p: Share of the probability mass that sampling keeps.
        top_k: Number of tokens that sampling keeps; 0 keeps all.
        repetition_penalty: 1 leaves the probabilities as they are.
        num_beams: 1 is no beam search; a search ends when as many answers are complete.
        samples: Answers per prompt; more than one needs a temperature above 0.
        stop: Texts that end an answer; they are cut off.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    num_beams: int = 1
    samples: int = 1
    stop: tuple[str, ...] = ()


DECODINGS = {
    "greedy": Decoding(),
    # CaR generated with the defaults of LLaMA-Factory of its time.
    "car": Decoding(max_new_tokens=512, temperature=0.95, top_p=0.7, top_k=50),
}
"""Decoding presets by name."""
