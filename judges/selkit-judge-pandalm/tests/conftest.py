"""A cache and a store of their own, and a tiny model that answers as it is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

TINY = "tiny:bytes?hidden=128&heads=4&layers=1&context=4096&seed=3"
Rig = Callable[..., str]


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the user's cache or store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Makes a model that goes on from each prompt with the answer given for it: folder of the model.

    The last layer's state at every place of prompt and answer is known, so the output weights that give the next letter
    a logit of 10 (or as said) there are the solution of a linear system. Every other letter has one between 0 and 1: no
    two are alike, so that a search among them does not hang on rounding.
    """
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    from selkit.models import load_model, resolve

    def make(answers: Mapping[str, str], logit: float = 10.0) -> str:
        engine: Any = load_model(TINY, device="cpu")
        states, letters = [], []
        for prompt, answer in answers.items():
            start = engine.tokenizer(prompt)["input_ids"]
            ids = engine.tokenizer(prompt + answer)["input_ids"]
            assert ids[: len(start)] == start
            with torch.no_grad():
                found = engine.model.model(torch.tensor([ids])).last_hidden_state[0]
            states += list(found[len(start) - 1 :])
            letters += [*ids[len(start) :], engine.tokenizer.eos_token_id]
        known = torch.stack(states).double()
        folder = tmp_path_factory.mktemp("judge") / "model"
        shutil.copytree(resolve(TINY).path, folder)
        config = json.loads((folder / "config.json").read_text("utf-8")) | {"tie_word_embeddings": False}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        weights = safetensors.load_file(folder / "model.safetensors")
        head = torch.zeros_like(weights["model.embed_tokens.weight"]).double()
        wanted = torch.rand(len(head), generator=torch.Generator().manual_seed(1)).double().repeat(len(letters), 1)
        wanted[torch.arange(len(letters)), torch.tensor(letters)] = logit
        head = torch.linalg.lstsq(known, wanted, driver="gelsd").solution.T
        assert torch.allclose(known @ head.T, wanted, atol=0.5), "the states are too much alike"
        weights["lm_head.weight"] = head.float().contiguous()
        safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return str(folder)

    return make
