"""Worlds in which runs are disturbed; loading libraries for the one that trains takes long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from world import World


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small graph of stages, one of which asks a server."""
    pytest.importorskip("openai")
    with World("light", tmp_path_factory.mktemp("light")) as found:
        yield found


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small experiment that trains, answers, and is judged by a server."""
    for package in ("openai", "torch", "trl", "scipy", "statsmodels", "selkit_judge_openai"):
        pytest.importorskip(package)
    with World("real", tmp_path_factory.mktemp("real")) as found:
        yield found
