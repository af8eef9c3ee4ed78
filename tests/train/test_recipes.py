"""Recipes: names, changes, refusals, and the values that the papers print."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import UsageError
from selkit.train import RECIPES, Lora, Recipe, load_recipe
from selkit.train.loop import arithmetic

PRINTED = {
    "chasing-random-1": (2e-5, "linear", 128, 512, 3, 0.03, 0.0),
    "chasing-random-2": (2e-5, "cosine", 128, 512, 3, 0.03, 0.0),
    "chasing-random-3": (1e-5, "linear", 128, 512, 3, 0.03, 0.0),
    "chasing-random-4-lora": (2e-5, "linear", 128, 1024, 5, 0.3, 0.0),
    "lima": (1e-5, "polynomial", 64, 2048, 15, 0.0, 0.1),
    "shen-alpaca": (2e-5, "linear", 128, 512, 3, 0.03, 0.0),
    "shen-dolly": (2e-5, "linear", 128, 1024, 3, 0.03, 0.0),
    "shen-wizardlm": (2e-5, "linear", 128, 2048, 3, 0.03, 0.0),
    "moon-07": (2e-5, "linear", 256, 2048, 15, 0.0, 0.0),
    "cherry-pre-experience": (2e-5, "cosine", 128, 512, 1, 0.03, 0.0),
    "moon-15": (2e-5, "cosine", 256, 2048, 15, 0.0, 0.0),
}


@pytest.mark.parametrize("name", PRINTED)
def test_presets_have_the_values_that_the_papers_print(name: str) -> None:
    """Learning rate, scheduler, batch, length, epochs, warmup and weight decay of each printed recipe."""
    recipe = RECIPES[name]
    found = (
        recipe.learning_rate,
        recipe.scheduler,
        recipe.batch_size,
        recipe.max_length,
        recipe.epochs,
        recipe.warmup,
        recipe.weight_decay,
    )
    assert found == PRINTED[name]


def test_every_recipe_of_the_papers_is_there_with_its_source() -> None:
    """All that are named, each with the paper that its values come from."""
    moon = [f"moon-{number:02d}" for number in range(1, 17)]
    chasing = ["chasing-random-1", "chasing-random-2", "chasing-random-3", "chasing-random-4-lora"]
    named = [*chasing, "lima", "shen-alpaca", "shen-dolly", "shen-wizardlm", *moon, "car"]
    assert [name for name in named if name not in RECIPES] == []
    assert all(", '" in RECIPES[name].source for name in named)
    assert RECIPES["chasing-random-4-lora"].lora is not None
    assert "lora" in RECIPES["chasing-random-4-lora"].inferred
    assert [name for name in named if RECIPES[name].lora is not None] == ["chasing-random-4-lora"]


@pytest.mark.parametrize(
    ("precision", "device", "capable", "bf16", "tf32"),
    [
        ("auto", "cpu", True, False, None),
        ("auto", "cuda", True, True, True),
        ("auto", "cuda", False, False, None),
        ("float32", "cuda", True, False, None),
        ("bf16", "cuda", True, True, True),
    ],
)
def test_the_numbers_that_training_computes_with(
    precision: str, device: str, capable: bool, bf16: bool, tf32: bool | None
) -> None:
    """bf16 with tf32 on a GPU that has them, float32 on a CPU and where the recipe says so."""
    recipe = load_recipe({"preset": "lima", "precision": precision})
    assert arithmetic(recipe, device, capable) == {"bf16": bf16, "tf32": tf32}


def test_lima_decays_to_a_tenth_with_its_own_betas() -> None:
    """LIMA's linear decay to 1e-6 is a polynomial of power 1, and its betas are .9 and .95."""
    lima = RECIPES["lima"]
    assert dict(lima.scheduler_kwargs) == {"lr_end": 1e-6, "power": 1.0}
    assert lima.betas == (0.9, 0.95)


def test_the_sixteen_settings_are_a_full_grid() -> None:
    """Two values of four settings each, all 16 combinations, with x and x + 8 differing in the scheduler alone."""
    grid = [RECIPES[f"moon-{number:02d}"] for number in range(1, 17)]
    assert len({(r.learning_rate, r.batch_size, r.epochs, r.scheduler) for r in grid}) == 16
    for low, high in zip(grid[:8], grid[8:], strict=True):
        other = {key for key in low.settings if low.settings[key] != high.settings[key]}
        assert other == {"scheduler"}
    assert [r.epochs for r in grid] == [15, 3] * 8
    assert all("scheduler" in r.inferred for r in grid)
    assert [n for n, r in enumerate(grid, 1) if "learning_rate" not in r.inferred] == [7, 15]


def test_inferred_names_are_fields_and_car_marks_every_choice() -> None:
    """Each mark names a field; CaR prints no value, so all that it sets are marked."""
    for recipe in RECIPES.values():
        assert set(recipe.inferred) <= set(recipe.settings)
    assert {"learning_rate", "batch_size", "epochs", "scheduler", "max_length"} <= set(RECIPES["car"].inferred)


@pytest.mark.parametrize("name", RECIPES)
def test_as_dict_reads_back(name: str) -> None:
    """A recipe written as JSON values and read again is the same recipe."""
    assert load_recipe(RECIPES[name].as_dict()) == RECIPES[name]


def test_changes_replace_values_and_show_in_the_name() -> None:
    """A preset with another value keeps the rest, says so in its name, and no longer marks the value as inferred."""
    changed = load_recipe({"preset": "car", "learning_rate": 1e-4})
    assert changed.learning_rate == 1e-4
    assert changed.batch_size == 128
    assert changed.name == "car(learning_rate=0.0001)"
    assert "learning_rate" not in changed.inferred
    assert "epochs" in changed.inferred


def test_max_steps_and_epochs_replace_each_other() -> None:
    """Setting the one clears the other, so that a change never leaves both."""
    assert load_recipe({"preset": "lima", "max_steps": 5}).epochs is None
    assert load_recipe({"preset": "quickstart", "epochs": 2}).max_steps is None


def test_lora_changes_keep_the_other_lora_values() -> None:
    """A nested change reaches into the adapters of the preset."""
    changed = load_recipe({"preset": "chasing-random-4-lora", "lora": {"r": 4}})
    assert changed.lora == Lora(r=4)


def test_values_may_come_as_text() -> None:
    """Numbers from the command line arrive as text and are read as the field's type."""
    changed = load_recipe({"preset": "lima", "learning_rate": "1e-4", "epochs": "2"})
    assert (changed.learning_rate, changed.epochs) == (1e-4, 2.0)


def test_settings_leave_out_labels() -> None:
    """Two recipes that train alike have the same settings, whatever they are called."""
    one = load_recipe({"preset": "lima", "name": "one"})
    assert one.settings == RECIPES["lima"].settings
    assert one.name == "one"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("lma", "Did you mean 'lima'?"),
        ("moon-7", "Did you mean 'moon-07'?"),
        ({"preset": "lima", "learning-rate": 1}, "Did you mean 'learning_rate'?"),
        ({"preset": "lima", "lora": {"rank": 4, "alhpa": 2}}, "no key 'rank'"),
        ({"preset": 3}, "a recipe's preset is a name"),
        ({"learning_rate": 1e-5}, "lacks batch_size"),
        ({"preset": "lima", "epochs": "many"}, "epochs of recipe"),
        ({"preset": "lima", "template": "vicuna"}, "template of recipe"),
        ({"preset": "lima", "learning_rate": -1}, "must be above 0"),
        ({"preset": "lima", "batch_size": 0}, "must be above 0"),
        ({"preset": "lima", "max_length": 1}, "must be 2 or more"),
        ({"preset": "lima", "betas": [0.9, 1.0]}, "two numbers in [0, 1)"),
        ({"preset": "lima", "epochs": 1, "max_steps": 1}, "either epochs or max_steps"),
        ({"preset": "lima", "lora": {"targets": []}}, "target layers"),
    ],
)
def test_refusals_say_what_is_wrong(source: Any, said: str) -> None:
    """Unknown names and keys are refused with the nearest known one, bad values with what they must be."""
    with pytest.raises(UsageError, match=re.escape(said)):
        load_recipe(source)


def test_a_missing_length_of_training_is_refused() -> None:
    """Without epochs and steps nobody knows when to stop."""
    with pytest.raises(UsageError, match="either epochs or max_steps"):
        load_recipe({"learning_rate": 1e-5, "batch_size": 4})


@given(st.floats(max_value=0, allow_nan=False) | st.just(float("nan")))
def test_no_learning_rate_of_zero_or_less(rate: float) -> None:
    """Whatever is not above zero is refused, NaN among it."""
    with pytest.raises(UsageError):
        Recipe(name="bad", learning_rate=rate, batch_size=1, epochs=1)


@pytest.mark.parametrize("name", RECIPES)
def test_every_preset_is_accepted_by_trl(name: str, tmp_path: Any) -> None:
    """TRL takes the settings of every preset, and the cut-up batch is the recipe's."""
    pytest.importorskip("trl")
    from selkit.train.batches import plan_batches
    from selkit.train.loop import LoopSettings, lora_config, sft_config

    recipe = RECIPES[name]
    plan = plan_batches(recipe.batch_size, 8)
    assert plan is not None
    config = sft_config(recipe, plan, LoopSettings(tmp_path, 5, "cpu", recipe.max_length))
    assert config.per_device_train_batch_size * config.gradient_accumulation_steps == recipe.batch_size
    assert (config.learning_rate, config.seed, config.data_seed) == (recipe.learning_rate, 5, 5)
    assert (config.bf16, config.report_to, config.logging_nan_inf_filter) == (False, [], False)
    assert config.get_warmup_steps(1000) == round(1000 * recipe.warmup)
    assert (lora_config(recipe) is None) == (recipe.lora is None)
