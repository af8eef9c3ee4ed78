"""What stands on the encoder: the mix of its layers, and a feed-forward head. Functions on tensors by name.

After COMET (Rei et al., EMNLP 2020), which CaR's scorer is a fork of: layers are mixed as gamma x the sum of w_l x h_l
with w = sparsemax of one learnt number per layer (no layer norm), tokens are averaged, and the head is linear, Tanh,
dropout, ..., linear to one number. Averaging and mixing are both linear, so the tokens of every layer are averaged
first here, which leaves one vector per layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MIX = "mix.weights"
GAMMA = "mix.gamma"
_LEFT_OUT = -1e20  # what stands for a layer that dropout left out, as in COMET


def shapes(layers: int, width: int, hidden: Sequence[int], *, mixed: bool, head: bool) -> dict[str, tuple[int, ...]]:
    """The tensors that a scorer has besides its encoder, by name, with their shapes.

    Args:
        layers: Layers of the encoder, its embeddings counted.
        width: Width of the encoder.
        hidden: Widths of the head's hidden layers.
        mixed: Whether the layers are mixed.
        head: Whether there is a head ('estimator') or none ('comet').
    """
    found: dict[str, tuple[int, ...]] = {MIX: (layers,), GAMMA: (1,)} if mixed else {}
    for place, (before, after) in enumerate(itertools.pairwise((width, *hidden, 1)) if head else ()):
        found |= {f"head.{place}.weight": (after, before), f"head.{place}.bias": (after,)}
    return found


def fresh(wanted: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Untrained tensors: an even mix, and a head as torch initialises linear layers, drawn with ``seed``."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in wanted.items():
        if name in (MIX, GAMMA):
            found[name] = torch.full(shape, 1.0 if name == GAMMA else 0.0)
        else:
            fan_in = wanted[name.replace(".bias", ".weight")][1]
            found[name] = (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)
    return found


def sparsemax(x: torch.Tensor) -> torch.Tensor:
    """The point of the simplex that is nearest to ``x``, shape (n,) (Martins and Astudillo, ICML 2016, algorithm 1)."""
    import torch

    x = x - x.max()  # changes nothing but the rounding, which matters where dropout left out every layer
    ordered = torch.sort(x, descending=True).values
    sums = torch.cumsum(ordered, 0)
    count = torch.arange(1, len(x) + 1, device=x.device, dtype=x.dtype)
    support = int((1 + count * ordered > sums).sum())
    threshold = (sums[support - 1] - 1) / support
    return torch.clamp(x - threshold, min=0)


def mix(states: torch.Tensor, weights: dict[str, torch.Tensor], dropout: float = 0.0) -> torch.Tensor:
    """One vector per text from one per layer: the learnt mix, or the only layer where there is none.

    Args:
        states: Averages over the tokens, shape (..., layers, width).
        weights: The tensors of :func:`shapes`.
        dropout: Chance that training leaves a layer out; 0 outside of training.
    """
    import torch

    if MIX not in weights:
        return states[..., -1, :]
    raw = weights[MIX]
    if dropout:
        kept = torch.rand(raw.shape, device=raw.device) > dropout
        raw = torch.where(kept, raw, torch.full_like(raw, _LEFT_OUT))
    return weights[GAMMA] * torch.einsum("l,...lw->...w", sparsemax(raw), states)


def feed_forward(vectors: torch.Tensor, weights: dict[str, torch.Tensor], dropout: float = 0.0) -> torch.Tensor:
    """The head's number for each vector, shape (..., width) -> (...)."""
    from torch.nn import functional

    depth = sum(name.startswith("head.") for name in weights) // 2
    for place in range(depth):
        vectors = functional.linear(vectors, weights[f"head.{place}.weight"], weights[f"head.{place}.bias"])
        if place < depth - 1:
            vectors = functional.dropout(vectors.tanh(), dropout, training=dropout > 0)
    return vectors[..., 0]


def closeness(anchors: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """COMET's score of an answer, 1 / (1 + its distance from the anchor); shapes (..., width) -> (...)."""
    from torch.nn import functional

    return 1 / (1 + functional.pairwise_distance(anchors, answers))
