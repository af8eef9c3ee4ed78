"""Which packages a training depends on: another version of one of them may give other weights."""

from __future__ import annotations

from selkit import __version__
from selkit.store import package_version
from selkit.train.recipes import Recipe

_ALWAYS = ("torch", "transformers", "trl", "accelerate")


def training_versions(recipe: Recipe, deepspeed: str | None = None) -> dict[str, str]:
    """Versions of selkit and of the packages that train under a recipe, by name; 'absent' where one is not installed.

    Args:
        recipe: The recipe: PEFT counts where it has adapters, flash-attn where it attends by it.
        deepspeed: Name of a DeepSpeed preset, or None.
    """
    more = {"peft": recipe.lora is not None, "deepspeed": deepspeed, "flash-attn": recipe.attention == "flash"}
    packages = [*_ALWAYS, *(name for name, used in more.items() if used)]
    return {"selkit": __version__, **{name: package_version(name) or "absent" for name in packages}}
