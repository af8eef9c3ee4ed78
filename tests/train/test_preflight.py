"""What is refused or told before a model loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from selkit.api import PLAIN, DataError, Example, MissingExtra, Pool, UsageError
from selkit.train import Recipe, check_training
from selkit.train import preflight as module


def test_a_fitting_pool_has_nothing_to_tell(model: str, rows: Pool, recipe: Callable[..., Recipe]) -> None:
    """No notes, no filled rows, the recipe's length and template."""
    check = check_training(model, rows, recipe())
    assert (check.template, check.max_length, check.filled, check.notes) == (PLAIN, 128, (), ())


def test_long_prompts_are_named_and_counted(model: str, recipe: Callable[..., Recipe]) -> None:
    """Against counting every prompt: those with no room for a token of their response."""
    pool = Pool.from_examples(Example(f"row-{n:03d}", "x" * n, "", "yes") for n in range(20, 60))
    check = check_training(model, pool, recipe(max_length=40))
    assert check.filled == tuple(f"row-{n:03d}" for n in range(20, 60) if len("x" * n + "\n") >= 40)
    assert "21 of 40 rows" in check.notes[0]
    assert "row-039, row-040, row-041, ..." in check.notes[0]


def test_a_pool_of_long_prompts_alone_is_refused(model: str, recipe: Callable[..., Recipe]) -> None:
    """With nothing to train on there is an error rather than a note, and it says what to change."""
    pool = Pool.from_examples([Example("a", "x" * 100, "", "yes")], name="long")
    with pytest.raises(DataError, match=r"every prompt .* fills the 40 tokens.*raise the recipe's max_length"):
        check_training(model, pool, recipe(max_length=40))


def test_a_row_with_one_short_turn_is_not_filled(
    model: str, recipe: Callable[..., Recipe], conversations: Pool
) -> None:
    """Of a conversation whose later prompts are too long, the first turn still trains."""
    check = check_training(model, conversations, recipe(max_length=20))
    assert check.filled == ()


def test_an_empty_pool_is_refused(model: str, recipe: Callable[..., Recipe]) -> None:
    """There is nothing to train on."""
    with pytest.raises(DataError, match="pool 'pool' is empty"):
        check_training(model, Pool.from_examples([]), recipe())


def test_a_context_shorter_than_the_recipe_is_told(model: str, rows: Pool, recipe: Callable[..., Recipe]) -> None:
    """The model's context of 192 tokens wins over a recipe's 512, in one sentence."""
    check = check_training(model, rows, recipe(max_length=512))
    assert check.max_length == 192
    assert "context of 192 tokens is shorter than the 512" in check.notes[0]


@pytest.mark.parametrize(
    ("changes", "device", "said"),
    [
        ({"precision": "bf16"}, "cpu", "needs a GPU"),
        ({}, "cuda", "torch finds no GPU"),
        ({}, "tpu", "runs on cpu or cuda"),
        ({"template": "chat"}, "cpu", "no chat template"),
        ({"lora": {"targets": ["q_prj"]}}, "cpu", "no layers named q_prj.*q_proj"),
        ({"micro_batch": 3}, "cpu", "does not divide"),
    ],
)
def test_what_model_or_machine_lacks_is_refused(
    model: str, rows: Pool, recipe: Callable[..., Recipe], changes: dict[str, object], device: str, said: str
) -> None:
    """One sentence, exit code 2, before anything loads."""
    import torch

    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match=said):
        check_training(model, rows, recipe(**changes), device=device)


def test_a_gpu_without_bf16_is_told(
    model: str, rows: Pool, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe that insists on bf16 is refused on a GPU of before 2020; 'auto' takes float32 there."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(UsageError, match="bf16, which this GPU does not compute in: set precision: auto"):
        check_training(model, rows, recipe(precision="bf16"), device="cuda")
    check_training(model, rows, recipe(), device="cuda")


def test_layers_that_exist_are_accepted(model: str, rows: Pool, recipe: Callable[..., Recipe]) -> None:
    """Names of layers, or all of them."""
    check_training(model, rows, recipe(lora={"targets": ["q_proj", "up_proj"]}))
    check_training(model, rows, recipe(lora={}))


def test_an_uneven_share_of_the_batch_is_refused(model: str, rows: Pool, recipe: Callable[..., Recipe]) -> None:
    """Four rows cannot be shared by three processes."""
    with pytest.raises(UsageError, match="4 cannot be shared evenly by 3"):
        check_training(model, rows, recipe(), processes=3)


def test_an_encoder_is_refused(model: str, rows: Pool, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """A model that does not write text cannot be trained to."""
    folder = tmp_path / "encoder"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    with pytest.raises(DataError, match="is a BertModel, which does not write text"):
        check_training(str(folder), rows, recipe())


def test_a_missing_model_is_refused(rows: Pool, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """A folder that is not there is a DataError."""
    pytest.importorskip("trl")
    with pytest.raises(DataError, match="does not exist"):
        check_training(str(tmp_path / "none"), rows, recipe())


@pytest.mark.parametrize(
    ("package", "changes", "said"),
    [("trl", {}, r"selkit-eval\[train\]"), ("peft", {"lora": {}}, r"selkit-eval\[train\]")],
)
def test_missing_packages_are_named(
    rows: Pool,
    recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    changes: dict[str, object],
    said: str,
) -> None:
    """Without TRL, or PEFT where the recipe takes it, the error says how to install it."""
    found = module.importlib.util.find_spec
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtra, match=said):
        check_training("nowhere", rows, recipe(**changes))


def test_flash_attention_is_asked_for_by_name(recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe with flash attention names its own extra."""
    found = module.importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name == "flash_attn" else (found(name) or object())
    )
    with pytest.raises(MissingExtra, match="flash-attn"):
        module.check_installed(recipe(attention="flash"))
