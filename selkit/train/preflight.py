"""What can be known to go wrong before a model loads."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import DataError, MissingExtra, Pool, PromptTemplate, UsageError
from selkit.models import check_model, default_device, load_tokenizer, resolve
from selkit.train.batches import plan_batches
from selkit.train.loop import gpu_has_bf16
from selkit.train.machine import check_machine
from selkit.train.recipes import Recipe
from selkit.train.turns import training_pairs

NEEDS = ("torch", "transformers", "trl", "datasets", "accelerate")
_SPECIAL_TOKENS = 2  # a tokenizer may put a mark before and after a text
_SHOWN = 3


@dataclass(frozen=True)
class TrainCheck:
    """What the checks found.

    Args:
        template: The prompt template.
        max_length: Tokens of the longest sequence: the recipe's, or the model's context where that is shorter.
        filled: Ids of rows with a prompt that leaves no room for its response; they will be dropped and counted.
        notes: What a person should know, one sentence each.
    """

    template: PromptTemplate
    max_length: int
    filled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_training(
    model: str,
    data: Pool,
    recipe: Recipe,
    *,
    device: str | None = None,
    processes: int = 1,
    deepspeed: str | None = None,
    elsewhere: bool = False,
) -> TrainCheck:
    """Checks a training as far as that goes without loading the model.

    Args:
        model: Reference of the model to start from.
        data: The rows to train on.
        recipe: The recipe.
        device: 'cpu' or 'cuda'; by default a GPU where there is one.
        processes: Processes that are to train together.
        deepspeed: Name of a DeepSpeed preset, or None.
        elsewhere: Whether another machine trains, whose GPUs cannot be seen from here.

    Raises:
        MissingExtra: The packages for training, or those that the recipe or DeepSpeed needs, are not installed.
        UsageError: The recipe asks for what this model or machine does not have.
        DataError: The model is missing or no causal language model, or there is nothing to train on.
    """
    from selkit.models import prompt_template

    check_installed(recipe)
    device = device or default_device()
    _check_device(recipe, device, elsewhere)
    world = check_machine(processes, deepspeed, device, elsewhere=elsewhere)
    check_model(model)
    template = prompt_template(recipe.template, model)
    folder = resolve(model).path
    config = model_config(folder)
    _check_causal(config, model)
    _check_lora(recipe, folder, model)
    if plan_batches(recipe.batch_size, recipe.micro_batch or 1, world) is None:
        raise UsageError(f"a batch of {recipe.batch_size} cannot be shared evenly by {world} processes")
    if recipe.micro_batch and (recipe.batch_size // world) % recipe.micro_batch:
        share = recipe.batch_size // world
        raise UsageError(f"micro_batch {recipe.micro_batch} does not divide the {share} rows of a step: choose another")
    max_length, notes = _length(recipe, config)
    filled = _filled(model, data, template, max_length)
    return TrainCheck(template, max_length, tuple(filled), (*notes, *_say_filled(filled, data, max_length)))


def check_installed(recipe: Recipe) -> None:
    """Refuses to train without the packages that it takes.

    Raises:
        MissingExtra: One is not installed.
    """
    needed = (*NEEDS, *(("peft",) if recipe.lora else ()))
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise MissingExtra.of("training", "train")
    if recipe.attention == "flash" and importlib.util.find_spec("flash_attn") is None:
        raise MissingExtra.of(f"recipe {recipe.name!r} with its flash attention", "flash-attn")


def model_config(folder: Path) -> dict[str, Any]:
    """The model's config.json.

    Raises:
        DataError: It cannot be read.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); copy the model again") from error
    return config


def _check_causal(config: Mapping[str, Any], ref: str) -> None:
    kinds = config.get("architectures") or []
    if kinds and not any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in kinds):
        raise DataError(f"model {ref!r} is a {kinds[0]}, which does not write text: take a causal language model")


def _check_device(recipe: Recipe, device: str, elsewhere: bool) -> None:
    if device not in ("cpu", "cuda"):
        raise UsageError(f"training runs on cpu or cuda, not on {device!r}: choose a GPU with CUDA_VISIBLE_DEVICES")
    if device == "cpu":
        if recipe.needs_gpu:
            asked = "precision: bf16" if recipe.precision == "bf16" else "attention: flash"
            raise UsageError(f"recipe {recipe.name!r} needs a GPU ({asked}) and training is to run on {device}")
        return
    if elsewhere:
        return
    import torch

    if not torch.cuda.is_available():
        raise UsageError(f"device {device!r} was asked for, and torch finds no GPU here: leave --device out")
    if recipe.precision == "bf16" and not gpu_has_bf16():
        raise UsageError(
            f"recipe {recipe.name!r} asks for bf16, which this GPU does not compute in: set precision: auto"
        )


def _check_lora(recipe: Recipe, folder: Path, ref: str) -> None:
    if recipe.lora is None or recipe.lora.targets == ("all-linear",):
        return
    layers = {name.removesuffix(".weight").rpartition(".")[2] for name in weight_names(folder)}
    missing = [target for target in recipe.lora.targets if target.rpartition(".")[2] not in layers]
    if missing:
        known = ", ".join(sorted(name for name in layers if name.endswith(("proj", "dense", "attn", "fc"))))
        raise UsageError(f"model {ref!r} has no layers named {', '.join(missing)} for LoRA; it has {known or 'others'}")


def weight_names(folder: Path) -> list[str]:
    """Names of the model's weights, read from the headers of its safetensors files."""
    from safetensors import safe_open

    names: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            names.extend(file.keys())
    return names


def _length(recipe: Recipe, config: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    text = config.get("text_config", config)
    context = text.get("max_position_embeddings") or text.get("n_positions")
    if not context or context >= recipe.max_length:
        return recipe.max_length, ()
    note = f"the model's context of {context} tokens is shorter than the {recipe.max_length} of recipe {recipe.name!r}"
    return int(context), (f"{note}, so sequences are cut at {context}",)


def _filled(model: str, data: Pool, template: PromptTemplate, max_length: int) -> list[str]:
    """Ids of rows with no room for any response. No token is shorter than a byte, so few prompts need counting."""
    room = max_length - _SPECIAL_TOKENS
    long: dict[str, list[str]] = {}
    others: set[str] = set()
    for pair in training_pairs(data, template):
        if len(pair.prompt.encode("utf-8", "replace")) > room:
            long.setdefault(pair.id, []).append(pair.prompt)
        else:
            others.add(pair.id)
    asked = [(id_, prompt) for id_, prompts in long.items() if id_ not in others for prompt in prompts]
    if not asked:
        return []
    counts = load_tokenizer(model).count(prompt for _, prompt in asked)
    fitting = {id_ for (id_, _), count in zip(asked, counts, strict=True) if count < max_length}
    return [id_ for id_ in dict.fromkeys(id_ for id_, _ in asked) if id_ not in fitting]


def _say_filled(filled: list[str], data: Pool, max_length: int) -> tuple[str, ...]:
    if len(data) == 0:
        raise DataError(f"pool {data.name!r} is empty: there is nothing to train on")
    if not filled:
        return ()
    shown = ", ".join(filled[:_SHOWN]) + (", ..." if len(filled) > _SHOWN else "")
    if len(filled) == len(data):
        raise DataError(
            f"every prompt of pool {data.name!r} fills the {max_length} tokens of a sequence ({shown}), so there is "
            "nothing to train on: raise the recipe's max_length or take a model with a longer context"
        )
    rows = f"{len(filled)} of {len(data)} rows of pool {data.name!r}"
    return (f"{rows} have a prompt that fills the {max_length} tokens of a sequence and will be dropped: {shown}",)
