"""A cache and a store of their own for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the user's cache or store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield
