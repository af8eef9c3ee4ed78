"""Fixtures for the tests of selection."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import make_pool

from selkit.api import Pool
from selkit.store import Store


@pytest.fixture
def pool() -> Pool:
    """Forty rows."""
    return make_pool()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return Store(tmp_path / "store")
