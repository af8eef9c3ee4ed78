"""A small model and small pools for the tests of training."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import Example, Pool, Turn
from selkit.console import get_console
from selkit.train import Recipe, load_recipe

os.environ.setdefault("OMP_NUM_THREADS", "1")

MODEL = "tiny:bytes?layers=1&hidden=32&heads=2&context=192"
"""A token a byte, so that lengths in tokens are lengths in bytes, and the start token."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of an untrained Llama with a tokenizer of bytes and a context of 192 tokens."""
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    from selkit.models import resolve

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("models")))
        folder = str(resolve(MODEL).path)
    import trl  # noqa: F401

    gc.freeze()  # each trainer collects garbage once, and need not look through the libraries every time
    return folder


@pytest.fixture
def rows() -> Pool:
    """Twelve rows of different lengths; two have an input."""
    return Pool.from_examples(
        [
            Example(
                f"row-{i:02d}", f"Say {'very ' * (i % 3)}{i}", "an input" if i % 6 == 0 else "", f"{i}" * (1 + i % 5)
            )
            for i in range(12)
        ],
        name="small",
    )


@pytest.fixture
def conversations() -> Pool:
    """A row with two earlier exchanges and a system turn, and a row without history; all turns train."""
    history = (
        Turn("system", "Be brief."),
        Turn("user", "one"),
        Turn("assistant", "eins"),
        Turn("user", "two"),
        Turn("assistant", "zwei"),
    )
    return Pool.from_examples(
        [Example("talk", "three", "", "drei", history), Example("word", "four", "", "vier")], name="talks", turns="all"
    )


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """Makes small recipes: a few steps, the plain template, and what the test asks for."""

    def make(**changes: Any) -> Recipe:
        values = {"learning_rate": 1e-2, "batch_size": 4, "max_length": 128, "template": "plain"}
        if not {"epochs", "max_steps"} & set(changes):
            values["max_steps"] = 3
        return load_recipe(values | changes)

    return make


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No progress on stderr, except where a test asks for it."""
    console = get_console()
    before = console.quiet
    console.quiet = True
    yield
    console.quiet = before


@pytest.fixture
def digest() -> Callable[[Path], str]:
    """Digests the weights in a model folder."""

    def of(folder: Path) -> str:
        return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()

    return of
