"""Text embeddings: hidden states pooled over the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.api import Pooling, UsageError
from selkit.models.forward import CausalForward, Row


def pool_causal(forward: CausalForward, rows: Sequence[Row], pooling: Pooling) -> list[NDArray[np.float32]]:
    """As :func:`pool_states` for a causal model; what the rows share at their start is computed once."""
    import torch

    _check(pooling)
    start, states = forward.every_state(rows)
    shared = 0 if start is None else len(start)
    behind = torch.tensor([len(row.ids) - shared for row in rows], device=states.device)
    if pooling == "last":
        pooled = states[torch.arange(len(rows), device=states.device), behind - 1].float()
    elif pooling == "cls":
        pooled = (states[:, 0] if start is None else start[:1].expand(len(rows), -1)).float()
    else:
        inside = torch.arange(states.shape[1], device=states.device)[None, :] < behind[:, None]
        total = (states.float() * inside[:, :, None]).sum(1)
        pooled = (total if start is None else total + start.float().sum(0)) / (behind + shared)[:, None]
    return list(pooled.cpu().numpy())


def pool_states(model: Any, rows: Sequence[Row], pooling: Pooling) -> list[NDArray[np.float32]]:
    """The last layer's hidden states of each row, pooled: one float32 vector of the model's width each.

    Args:
        model: A text encoder of transformers.
        rows: Token ids, at least one per row; padded on the right here, and the padding never counts.
        pooling: 'mean' over all tokens, the 'last' token, or 'cls' (the first one).
    """
    import torch

    _check(pooling)
    lengths = torch.tensor([len(row.ids) for row in rows], device=model.device)
    longest = int(lengths.max())
    pad = model.config.get_text_config().pad_token_id or 0
    ids = torch.tensor([[*row.ids, *[pad] * (longest - len(row.ids))] for row in rows], device=model.device)
    mask = torch.arange(longest, device=model.device)[None, :] < lengths[:, None]
    states = model.base_model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
    if pooling == "mean":
        pooled = (states * mask[:, :, None]).sum(1) / lengths[:, None]
    elif pooling == "last":
        pooled = states[torch.arange(len(rows), device=model.device), lengths - 1]
    else:
        pooled = states[:, 0]
    return list(pooled.cpu().numpy())


def _check(pooling: str) -> None:
    if pooling not in ("mean", "last", "cls"):
        raise UsageError(f"pooling is mean, last or cls, not {pooling!r}")
