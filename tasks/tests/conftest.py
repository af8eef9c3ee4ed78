"""The shared data and the sentence splitter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selkit.api import DataError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _quiet_device() -> Iterator[None]:
    """Tiny models stay on the processor, and no hub is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_DEVICE", "cpu")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def prompts() -> Path:
    """The file of IFEval's prompts; skips where the shared data is absent."""
    folder = Path(os.environ.get("SELKIT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    file = folder / "benchmarks" / "ifeval" / "prompts.jsonl"
    if not file.is_file():
        pytest.skip(f"no prompts of IFEval at {file}: set SELKIT_SHARED_DATA")
    return file


@pytest.fixture(scope="session")
def rows(prompts: Path) -> list[dict[str, Any]]:
    """IFEval's rows."""
    return [json.loads(line) for line in prompts.read_text("utf-8").split("\n") if line]


@pytest.fixture(scope="session")
def punkt() -> None:
    """The sentence splitter, from the user's cache; skips where it cannot be had."""
    from selkit_tasks.punkt import ensure_punkt

    from selkit.models import models_cache

    try:
        ensure_punkt(models_cache().parent)
    except DataError as error:
        pytest.skip(str(error))
