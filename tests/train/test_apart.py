"""Which models keep rows apart that stand in one sequence, and what a recipe that packs does with the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selkit.api import UsageError
from selkit.train import Recipe
from selkit.train.apart import keeps_rows_apart, refuse_mixed_rows

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SMALL = {"vocab_size": 64, "hidden_size": 32, "max_position_embeddings": 64, "num_hidden_layers": 1}
KINDS: dict[str, tuple[dict[str, Any], bool]] = {
    "llama": (SMALL | {"intermediate_size": 64, "num_attention_heads": 4}, True),
    "gpt2": ({"vocab_size": 64, "n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 64}, True),
    "opt": (SMALL | {"ffn_dim": 64, "num_attention_heads": 4, "word_embed_proj_dim": 32}, False),
    "bloom": ({"vocab_size": 64, "hidden_size": 32, "n_layer": 1, "n_head": 4}, False),
    "mamba": (SMALL, False),
}
"""Kinds of models that keep rows apart and kinds that do not, as comparing their logits by hand showed."""


def build(kind: str, scale: float) -> Any:
    """A small model whose matrices are drawn at this scale."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind][0]))
    for weight in (one for one in model.parameters() if one.dim() > 1):
        torch.nn.init.normal_(weight, std=scale)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.02, 0.3])
def test_rows_that_see_each_other_are_found(kind: str, scale: float) -> None:
    """Blank or trained, and the model is left in the state it was in."""
    model = build(kind, scale).train()
    assert keeps_rows_apart(model) is KINDS[kind][1]
    assert model.training


@pytest.mark.parametrize("key", ["packing", "padding_free"])
def test_a_recipe_that_would_mix_rows_is_refused(recipe: Callable[..., Recipe], key: str) -> None:
    """The sentence names the setting; with padding, any model will do."""
    model = build("opt", 0.3)
    with pytest.raises(UsageError, match=f"OPTForCausalLM does not keep apart rows .* set {key}: false"):
        refuse_mixed_rows(model, recipe(**{key: True}))
    refuse_mixed_rows(model, recipe())
    refuse_mixed_rows(build("llama", 0.3), recipe(**{key: True}))


def test_a_model_in_parts_is_judged_by_its_class(recipe: Callable[..., Recipe]) -> None:
    """Where the weights are spread over processes nothing can be run: a model with a state is refused all the same."""
    with pytest.raises(UsageError, match="MambaForCausalLM does not keep apart"):
        refuse_mixed_rows(build("mamba", 0.3), recipe(packing=True), whole=False)
    refuse_mixed_rows(build("llama", 0.3), recipe(packing=True), whole=False)
