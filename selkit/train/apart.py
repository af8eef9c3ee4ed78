"""Whether a model's attention keeps rows apart that stand in one sequence: packing and rows without padding need it."""

from __future__ import annotations

import inspect
from typing import Any

from selkit.api import UsageError
from selkit.train.recipes import Recipe

_TOKENS = 8
_TOLERANCE = 1e-4
"""Share of the largest logit; float32 stays a hundred times below it, and a row that sees another is far above."""


def refuse_mixed_rows(model: Any, recipe: Recipe, *, whole: bool = True) -> None:
    """Refuses to put several rows into one sequence where the model would let them see each other.

    Nothing else would tell: the loss falls all the same, and the model has learnt from mixtures of rows.

    Args:
        model: The model as it was loaded, in float32.
        recipe: The recipe; one that neither packs nor leaves out padding is fine with any model.
        whole: Whether the model has all of its weights here and can be run. If not, or if its attention runs on a GPU
            alone, only what its class says is looked at.

    Raises:
        UsageError: It would.
    """
    if not (recipe.packing or recipe.padding_free):
        return
    if keeps_rows_apart(model) if whole and recipe.attention != "flash" else takes_positions(model):
        return
    key = "packing" if recipe.packing else "padding_free"
    raise UsageError(
        f"{type(model).__name__} does not keep apart rows that stand in one sequence, so they would be learnt from as "
        f"one text: set {key}: false"
    )


def takes_positions(model: Any) -> bool:
    """Whether the model can be told where a row begins, and carries nothing but attention from token to token."""
    return "position_ids" in inspect.signature(model.forward).parameters and not getattr(model, "_is_stateful", False)


def keeps_rows_apart(model: Any) -> bool:
    """Whether a row has the same logits behind another one as alone, tried on two rows of eight tokens."""
    import torch

    if not takes_positions(model):
        return False
    words = model.config.get_text_config().vocab_size
    ids = (torch.arange(2 * _TOKENS, device=model.device)[None] * 7919 + words // 2) % words
    positions = torch.arange(_TOKENS, device=model.device).repeat(2)[None]
    training = model.training
    model.eval()
    with torch.no_grad():
        behind = model(input_ids=ids, position_ids=positions, use_cache=False).logits[:, _TOKENS:]
        alone = model(input_ids=ids[:, _TOKENS:], position_ids=positions[:, _TOKENS:], use_cache=False).logits
    model.train(training)
    return bool((behind - alone).abs().max() <= _TOLERANCE * alone.abs().max())
