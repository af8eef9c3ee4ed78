"""A cache and a store of their own for these tests, and rows with a tiny model that embeds them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from selkit.api import Example, Pool
from selkit.models import load_model, resolve


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the user's cache or store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield


@pytest.fixture(scope="session")
def tiny() -> str:
    """A model with a token a byte."""
    return "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"


@pytest.fixture(scope="session")
def pool() -> Pool:
    """Questions of three kinds, some in other scripts, one too long, two the same."""
    questions = [f"What is {n} times {n + 1}?" for n in range(14)]
    questions += [f"第{n}题：请用一句话介绍一座城市。" for n in range(9)]
    questions += [f"اكتب جملة عن الرقم {n}" for n in range(5)]
    questions += ["Tell me a very long story. " * 60, "Same?", "Same?", "?"]
    examples = [
        Example(f"r{n:02}", text, "on paper" if n % 7 == 0 else "", f"Answer {n}. " * (1 + n % 4))
        for n, text in enumerate(questions)
    ]
    return Pool.from_examples(examples, name="rows")


@pytest.fixture(scope="session")
def by_hand(tiny: str, pool: Pool) -> Callable[[str], np.ndarray]:
    """The mean of the last hidden states of each row's text, one row at a time, float64, by ascending id."""
    torch = pytest.importorskip("torch")
    model = load_model(tiny, device="cpu")

    def embedding(text: str) -> np.ndarray:
        ids = model.tokenizer(text)["input_ids"][:512]
        with torch.no_grad():
            states = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
        return np.asarray(states.double().mean(0).numpy())

    def embeddings(what: str) -> np.ndarray:
        texts = {
            "question": lambda row: f"{row.instruction}\n{row.input}" if row.input else row.instruction,
            "instruction": lambda row: row.instruction,
            "response": lambda row: row.response,
            "both": lambda row: (
                (f"{row.instruction}\n{row.input}" if row.input else row.instruction) + f"\n{row.response}"
            ),
        }
        return np.stack([embedding(texts[what](row)) for row in sorted(pool, key=lambda row: row.id)])

    return embeddings


@pytest.fixture
def damaged(tiny: str, tmp_path: Path) -> str:
    """The tiny model with a weight that is not a number."""
    pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(resolve(tiny).path, tmp_path / "damaged"))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)
