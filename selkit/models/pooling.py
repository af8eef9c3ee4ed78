"""Text embeddings: hidden states pooled over the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.api import Pooling, UsageError


def pool_states(model: Any, rows: Sequence[Sequence[int]], pooling: Pooling) -> list[NDArray[np.float32]]:
    """The last layer's hidden states of each row of token ids, pooled: one float32 vector of the model's width each.

    Args:
        model: A model of transformers; of a causal one the part below the head runs.
        rows: Token ids, at least one per row; padded on the right here, and the padding never counts.
        pooling: 'mean' over all tokens, the 'last' token, or 'cls' (the first one).
    """
    import torch

    if pooling not in ("mean", "last", "cls"):
        raise UsageError(f"pooling is mean, last or cls, not {pooling!r}")
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    longest = int(lengths.max())
    pad = model.config.get_text_config().pad_token_id or 0
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=model.device)
    mask = torch.arange(longest, device=model.device)[None, :] < lengths[:, None]
    options = {"use_cache": False} if model.get_output_embeddings() is not None else {}
    states = model.base_model(input_ids=ids, attention_mask=mask.long(), **options).last_hidden_state.float()
    if pooling == "mean":
        pooled = (states * mask[:, :, None]).sum(1) / lengths[:, None]
    elif pooling == "last":
        pooled = states[torch.arange(len(rows), device=model.device), lengths - 1]
    else:
        pooled = states[:, 0]
    return list(pooled.cpu().numpy())
