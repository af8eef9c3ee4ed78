"""The recipes that selkit knows by name, with where their values come from.

A field named in ``inferred`` has a value that the source does not print. What no source prints and no reader needs
(such as Adam's epsilon) has the value that the libraries give it.
"""

from __future__ import annotations

from typing import Literal

from selkit.train.recipes import Lora, Recipe

_CHASING = "Diddee and Ippolito, 'Chasing Random', table 3"
_MOON = "Moon et al., 'Call for Rigor', sections 3 and 4 and appendix C"
_SHEN = "Shen, 'Rethinking Data Selection for Supervised Fine-Tuning', appendix C"


def _chasing() -> list[Recipe]:
    def setup(name: str, learning_rate: float, scheduler: Literal["linear", "cosine"], note: str = "") -> Recipe:
        return Recipe(
            name=name,
            learning_rate=learning_rate,
            batch_size=128,
            epochs=3,
            scheduler=scheduler,
            warmup=0.03,
            max_length=512,
            source=_CHASING + note,
            inferred=("template", "weight_decay", "betas"),
        )

    return [
        setup("chasing-random-1", 2e-5, "linear"),
        setup("chasing-random-2", 2e-5, "cosine", " (the setup whose results the paper reports)"),
        setup("chasing-random-3", 1e-5, "linear"),
        Recipe(
            name="chasing-random-4-lora",
            learning_rate=2e-5,
            batch_size=128,
            epochs=5,
            warmup=0.3,
            max_length=1024,
            lora=Lora(),
            source=_CHASING + " (set 4; its warmup ratio is printed as 0.3, the rank of its adapters is not given)",
            inferred=("template", "weight_decay", "betas", "lora"),
        ),
    ]


def _lima() -> Recipe:
    return Recipe(
        name="lima",
        learning_rate=1e-5,
        batch_size=64,
        epochs=15,
        scheduler="polynomial",
        scheduler_kwargs={"lr_end": 1e-6, "power": 1.0},
        weight_decay=0.1,
        betas=(0.9, 0.95),
        max_length=2048,
        template="plain",
        source="Zhou et al., 'LIMA', section 3 (its residual dropout and its hand-picked checkpoint are left out)",
        inferred=("template",),
    )


def _shen(pool: str, max_length: int, template: Literal["alpaca", "wizardlm"]) -> Recipe:
    return Recipe(
        name=f"shen-{pool}",
        learning_rate=2e-5,
        batch_size=128,
        epochs=3,
        warmup=0.03,
        max_length=max_length,
        template=template,
        source=_SHEN,
        inferred=("betas",),
    )


def _moon(setting: int) -> Recipe:
    """One of the 16 settings: a full grid whose order is deduced from the paper's table 2 and its text."""
    within = (setting - 1) % 8 + 1
    printed = setting in (7, 15)
    return Recipe(
        name=f"moon-{setting:02d}",
        learning_rate=1e-5 if within <= 4 else 2e-5,
        batch_size=256 if within in (3, 4, 7, 8) else 128,
        epochs=15 if setting % 2 else 3,
        scheduler="linear" if setting <= 8 else "cosine",
        max_length=2048,
        source=f"{_MOON}, setting {setting}",
        inferred=("scheduler", "template") + (() if printed else ("learning_rate", "batch_size", "epochs")),
    )


def _car() -> Recipe:
    return Recipe(
        name="car",
        learning_rate=2e-5,
        batch_size=128,
        epochs=3,
        scheduler="cosine",
        warmup=0.03,
        max_length=512,
        source="Ge et al., 'Clustering and Ranking': the paper prints no value; these are Stanford Alpaca's",
        inferred=(
            "learning_rate",
            "batch_size",
            "epochs",
            "scheduler",
            "warmup",
            "weight_decay",
            "betas",
            "max_length",
            "template",
        ),
    )


def _cherry() -> Recipe:
    return Recipe(
        name="cherry-pre-experience",
        learning_rate=2e-5,
        batch_size=128,
        epochs=1,
        scheduler="cosine",
        warmup=0.03,
        max_length=512,
        source="Li et al., 'From Quantity to Quality': what is printed for its models, with the one epoch of the first",
        inferred=("scheduler", "betas"),
    )


def _small() -> list[Recipe]:
    return [
        Recipe(
            name="quickstart",
            learning_rate=2e-3,
            batch_size=64,
            max_steps=240,
            scheduler="cosine",
            warmup=0.05,
            max_length=64,
            template="plain",
            source="selkit: a Llama of half a million parameters, from scratch on the planted pool",
        ),
        Recipe(
            name="smollm2",
            learning_rate=1e-4,
            batch_size=8,
            epochs=2,
            scheduler="cosine",
            warmup=0.1,
            max_length=256,
            template="chat",
            source="selkit: SmolLM2-135M-Instruct on a CPU; shows the machinery, not a finding",
        ),
    ]


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *_small(),
        *_chasing(),
        _lima(),
        _shen("alpaca", 512, "alpaca"),
        _shen("dolly", 1024, "alpaca"),
        _shen("wizardlm", 2048, "wizardlm"),
        *(_moon(setting) for setting in range(1, 17)),
        _car(),
        _cherry(),
    )
}
"""Recipes by name, in the order in which they are listed."""
