"""Recipes: all training hyper-parameters of a run in one typed object, and how people name and change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

from selkit.api import UsageError
from selkit.plugins.suggest import did_you_mean

Scheduler = Literal["linear", "cosine", "polynomial", "constant"]
Optimizer = Literal["adamw", "adafactor", "sgd"]
TemplateName = Literal["alpaca", "wizardlm", "plain", "chat"]
Precision = Literal["auto", "float32", "bf16"]
Attention = Literal["auto", "sdpa", "eager", "flash"]

_LABELS = ("name", "source", "inferred")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters in place of full fine-tuning.

    Args:
        r: Rank.
        alpha: Scale; an adapter's output is multiplied by alpha / r.
        dropout: Share of the adapter's inputs set to 0.
        targets: Last part of the names of the linear layers that get an adapter, or ('all-linear',).
    """

    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1 or not self.targets:
            raise UsageError("a lora setting needs r of 1 or more, alpha above 0, dropout in [0, 1) and target layers")


@dataclass(frozen=True)
class Recipe:
    """All training hyper-parameters.

    Args:
        name: What people call the recipe.
        learning_rate: Peak learning rate.
        batch_size: Sequences of an optimiser step over all devices; gradient accumulation is derived from it.
        epochs: Passes over the data; None where max_steps is set.
        max_steps: Optimiser steps; None where epochs is set.
        scheduler: How the learning rate falls after the warmup.
        scheduler_kwargs: Further settings of the scheduler, as transformers names them.
        warmup: Steps of linear warmup; below 1 a share of all steps.
        weight_decay: Decoupled weight decay.
        betas: Decay rates of Adam's two moments.
        optimizer: 'adamw', 'adafactor' or 'sgd'.
        max_grad_norm: Gradients are scaled down to this norm; 0 leaves them as they are.
        max_length: Tokens of prompt, response and end mark together; what lies beyond is cut off.
        template: The prompt template, or 'chat' for the model's own.
        packing: Whether several rows share a sequence of max_length tokens; attention keeps them apart.
        padding_free: Whether the rows of a forward pass stand in one sequence without padding; attention keeps them
            apart, and the loss is the same.
        lora: Adapters in place of full fine-tuning.
        neftune_alpha: Noise on the embeddings (NEFTune), or None.
        gradient_checkpointing: Whether activations are computed twice to save memory.
        precision: 'auto' is bf16 (with tf32) on a GPU and float32 on a CPU; 'bf16' needs a GPU.
        attention: 'auto' leaves the choice to transformers; 'flash' needs a GPU and flash-attn.
        micro_batch: Rows of one forward pass; None derives it from the model's size. It does not change the loss.
        source: Where the values come from.
        inferred: Names of fields whose value the source does not print.
    """

    name: str
    learning_rate: float
    batch_size: int
    epochs: float | None = None
    max_steps: int | None = None
    scheduler: Scheduler = "linear"
    scheduler_kwargs: Mapping[str, float] = field(default_factory=dict)
    warmup: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    optimizer: Optimizer = "adamw"
    max_grad_norm: float = 1.0
    max_length: int = 1024
    template: TemplateName = "alpaca"
    packing: bool = False
    padding_free: bool = False
    lora: Lora | None = None
    neftune_alpha: float | None = None
    gradient_checkpointing: bool = False
    precision: Precision = "auto"
    attention: Attention = "auto"
    micro_batch: int | None = None
    source: str = ""
    inferred: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.max_steps is None):
            raise UsageError(f"recipe {self.name!r} needs either epochs or max_steps, and not both")
        for name, bound, valid in _bounds(self):
            if not valid:
                raise UsageError(f"{name} of recipe {self.name!r} is {getattr(self, name)!r}, and it must be {bound}")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What changes the trained weights: every field but the recipe's name, source and marks. Plain JSON values."""
        return {name: value for name, value in self.as_dict().items() if name not in _LABELS}

    @property
    def needs_gpu(self) -> bool:
        """Whether the recipe asks for something that only a GPU can do."""
        return self.precision == "bf16" or self.attention == "flash"

    def as_dict(self) -> dict[str, Any]:
        """Every field as plain JSON values; :func:`load_recipe` reads them back."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def load_recipe(source: str | Mapping[str, Any] | Recipe) -> Recipe:
    """The recipe of this name or description.

    Args:
        source: The name of a preset; or a mapping of fields, where ``preset`` names one to start from.

    Raises:
        UsageError: An unknown preset or field, or a value that a field cannot have.
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, str):
        return _preset(source)
    changes = dict(source)
    start = changes.pop("preset", None)
    _refuse_unknown(changes)
    if start is None:
        return _validated({"name": "custom"} | changes)
    if not isinstance(start, str):
        raise UsageError(f"a recipe's preset is a name, not {start!r}")
    return _changed(_preset(start), changes)


def _preset(name: str) -> Recipe:
    from selkit.train.presets import RECIPES

    if name not in RECIPES:
        raise UsageError(
            f"there is no recipe {name!r}, and `selkit recipes` lists those there are.{did_you_mean(name, RECIPES)}"
        )
    return RECIPES[name]


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """``recipe`` with other values; its name tells them unless a new one is given."""
    if not changes:
        return recipe
    if changes.get("max_steps") is not None:
        changes = {"epochs": None} | changes
    elif changes.get("epochs") is not None:
        changes = {"max_steps": None} | changes
    told = ", ".join(f"{key}={value}" for key, value in changes.items() if value is not None)
    merged = recipe.as_dict() | {"name": f"{recipe.name}({told})"} | changes
    if isinstance(changes.get("lora"), Mapping) and recipe.lora is not None:
        merged["lora"] = asdict(recipe.lora) | dict(changes["lora"])
    return replace(_validated(merged), inferred=tuple(name for name in recipe.inferred if name not in changes))


def _refuse_unknown(changes: Mapping[str, Any]) -> None:
    for known, given in ((Recipe, changes), (Lora, changes.get("lora"))):
        names = [f.name for f in fields(known)]
        for key in given if isinstance(given, Mapping) else ():
            if key not in names:
                raise UsageError(f"a {known.__name__.lower()} setting has no key {key!r}.{did_you_mean(key, names)}")


def _validated(values: Mapping[str, Any]) -> Recipe:
    from pydantic import TypeAdapter, ValidationError

    missing = [name for name in ("learning_rate", "batch_size") if values.get(name) is None]
    if missing:
        raise UsageError(f"recipe {values['name']!r} lacks {' and '.join(missing)}: set it, or name a preset")
    try:
        return TypeAdapter(Recipe).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = f"{place} of recipe {values['name']!r} is {first['input']!r}: {first['msg']}"
        raise UsageError(problem) from None


def _bounds(recipe: Recipe) -> list[tuple[str, str, bool]]:
    """Fields with the values they may have, in words, and whether they have one."""
    optional = {name: getattr(recipe, name) for name in ("epochs", "max_steps", "micro_batch", "neftune_alpha")}
    above_zero = [
        (name, "above 0", value > 0)
        for name, value in ({"learning_rate": recipe.learning_rate, "batch_size": recipe.batch_size} | optional).items()
        if value is not None
    ]
    return [
        *above_zero,
        ("warmup", "0 or more", recipe.warmup >= 0),
        ("weight_decay", "0 or more", recipe.weight_decay >= 0),
        ("max_grad_norm", "0 or more", recipe.max_grad_norm >= 0),
        ("max_length", "2 or more", recipe.max_length >= 2),
        ("betas", "two numbers in [0, 1)", all(0 <= beta < 1 for beta in recipe.betas)),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
