"""Models for these tests: tiny ones, built once, and the real one for slow tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

USERS = os.environ.get("SELKIT_CACHE")
TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"


@pytest.fixture(scope="session", autouse=True)
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the tests of this session build their models, so that nothing is left in the user's cache."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(folder))
        patch.delenv("SELKIT_DEVICE", raising=False)
        yield folder


@pytest.fixture
def users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own cache, for slow tests: what they download is kept there."""
    if USERS is None:
        monkeypatch.delenv("SELKIT_CACHE")
    else:
        monkeypatch.setenv("SELKIT_CACHE", USERS)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A copy of a tiny model's folder that a test may spoil."""
    pytest.importorskip("torch")
    from selkit.models import resolve

    return Path(shutil.copytree(resolve(TINY).path, tmp_path / "model"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch on one thread, as the machine of the tests is shared."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
