"""Adapters: a PEFT folder is served as its base model with the adapter merged in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from selkit.__main__ import main
from selkit.api import Continuation, DataError
from selkit.evals.evaluation import model_subject
from selkit.models import check_model, load_model, resolve

BASE = "tiny:words?hidden=32&layers=2"
OTHER = "tiny:words?hidden=48&layers=2"
SHALLOW = "tiny:words?hidden=32&layers=1"


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged folders go to a cache of this file's own."""
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path_factory.getbasetemp() / "adapters-cache"))


def adapter(folder: Path, base: str = BASE, names: str | None = None, seed: int = 0) -> Path:
    """A LoRA adapter of random matrices for a base model, which its configuration calls ``names``."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(resolve(base).path),
        LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.peft_config["default"].base_model_name_or_path = names or base
    model.save_pretrained(folder)
    return folder


def losses_by_peft(folder: Path, base: str, text: str) -> np.ndarray:
    """Token losses of the base with the adapter beside it, not merged, by transformers and peft alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = resolve(base).path
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place), str(folder)).eval()
    ids = torch.tensor([AutoTokenizer.from_pretrained(place)(text)["input_ids"]])
    with torch.no_grad():
        logits = model(ids).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none").numpy()


def test_losses_are_those_of_peft(tmp_path: Path) -> None:
    """To rounding, and not those of the base."""
    folder = adapter(tmp_path / "lora")
    text = "one two three four five six"
    (found,) = load_model(str(folder)).token_losses([Continuation("", text)], start="none")
    (base,) = load_model(BASE).token_losses([Continuation("", text)], start="none")
    expected = losses_by_peft(folder, BASE, text)
    assert found.losses[-len(expected) :] == pytest.approx(expected, abs=1e-4)
    assert np.abs(base.losses - found.losses).max() > 0.05


def test_the_digest_covers_base_and_adapter(tmp_path: Path) -> None:
    """Another adapter on the base, or the same adapter on another base, is another model; the same again is not."""
    first = adapter(tmp_path / "first")
    digests = [resolve(str(first)).digest, resolve(str(adapter(tmp_path / "second", seed=1))).digest]
    moved = shutil.copytree(first, tmp_path / "moved")
    config = json.loads((moved / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = f"{BASE}&seed=7"
    (moved / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    digests.append(resolve(str(moved)).digest)
    assert len({*digests, resolve(BASE).digest}) == 4
    assert resolve(str(first)).digest == digests[0]


def test_the_base_may_stand_beside_the_adapter(tmp_path: Path) -> None:
    """A relative path in the configuration is looked up from the adapter's folder too."""
    shutil.copytree(resolve(BASE).path, tmp_path / "base")
    folder = adapter(tmp_path / "lora", names="../base")
    check_model(str(folder))
    named = adapter(tmp_path / "named")
    assert resolve(str(folder)).digest == resolve(str(named)).digest


def test_the_adapter_that_training_keeps_brings_its_template(tmp_path: Path) -> None:
    """selkit writes MODEL/adapter beside MODEL/training.json; the record comes along, and is no part of the digest."""
    folder = adapter(tmp_path / "model" / "adapter")
    bare = resolve(str(adapter(tmp_path / "bare"))).digest
    (tmp_path / "model" / "training.json").write_text(json.dumps({"template": {"name": "plain"}}), "utf-8")
    found = resolve(str(folder))
    assert json.loads((found.path / "training.json").read_text("utf-8")) == {"template": {"name": "plain"}}
    assert found.digest == bare
    assert model_subject(str(folder)).template.name == "plain"


@pytest.mark.parametrize(
    ("names", "clause"),
    [
        ("/nowhere/llama", "needs its base model '/nowhere/llama', a folder that is not here"),
        (OTHER, "does not fit its base model"),
        (SHALLOW, "has no layer 'model.layers.1."),
        ("", "names no base model"),
    ],
)
def test_a_base_that_is_missing_or_another_is_one_sentence(names: str, clause: str, tmp_path: Path) -> None:
    """Exit code 4, with the adapter named and what to do."""
    folder = adapter(tmp_path / "lora", names=names or BASE)
    if not names:
        config = json.loads((folder / "adapter_config.json").read_text("utf-8")) | {"base_model_name_or_path": None}
        (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(DataError, match=r"the adapter|adapter_config\.json of") as caught:
        resolve(str(folder))
    assert clause in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_local_base_is_compared_before_anything_loads(tmp_path: Path) -> None:
    """The headers of the files are enough to see that the two do not fit."""
    base = shutil.copytree(resolve(OTHER).path, tmp_path / "base")
    folder = adapter(tmp_path / "lora", names=str(base))
    with pytest.raises(DataError, match=r"_proj' is \d+ by \d+ there, \d+ by \d+ in the adapter"):
        check_model(str(folder))


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (lambda f: (f / "adapter_config.json").write_text("{", "utf-8"), "is damaged"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (
            lambda f: (f / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}', "utf-8"),
            "is a PROMPT_TUNING, which cannot be merged",
        ),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"x" * 20), "is not a safetensors file"),
    ],
)
def test_a_damaged_adapter_is_one_sentence(change: object, clause: str, tmp_path: Path) -> None:
    """Each is named before its base is loaded."""
    folder = adapter(tmp_path / "lora")
    change(folder)  # type: ignore[operator]
    with pytest.raises(DataError, match=clause):
        resolve(str(folder))


def test_an_adapter_generates_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``selkit generate FOLDER`` answers as base and adapter together, not as the base."""
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    folder = adapter(tmp_path / "lora")
    (tmp_path / "p.jsonl").write_text('{"id": "1", "instruction": "one two three"}\n', "utf-8")
    texts = []
    for number, model in enumerate((str(folder), BASE)):
        out = tmp_path / f"{number}.jsonl"
        words = ["generate", model, "--prompts", str(tmp_path / "p.jsonl"), "-o", str(out), "--max-new-tokens", "12"]
        assert main([*words, "--template", "raw"]) == 0
        texts.append(json.loads(out.read_text("utf-8"))["response"])
    assert texts[0] != texts[1]
