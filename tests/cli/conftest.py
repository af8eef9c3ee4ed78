"""Made-up packages for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import FakePackages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePackages]:
    """An empty folder of installed packages."""
    for variable in ("SELKIT_PLUGINS", "SELKIT_DISABLE_PLUGINS", "SELKIT_RAISE_PLUGIN_ERRORS"):
        monkeypatch.delenv(variable, raising=False)
    folder = FakePackages(tmp_path / "site", monkeypatch)
    yield folder
    folder.forget()
