"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import FakePackages
from toys import make_pool

from selkit.api import Pool
from selkit.console import get_console
from selkit.store import Store

ROOT = Path(__file__).resolve().parents[1]

# A shell without job control starts background jobs with Ctrl-C ignored, and whatever they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the repository; skips where it is absent."""
    folder = Path(os.environ.get("SELKIT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set SELKIT_SHARED_DATA")
    return folder


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a store of its own, so that none reads what another one left."""
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))


@pytest.fixture(autouse=True)
def _talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console of every test says what it says by default, whatever a command in this process asked of it."""
    for name in ("quiet", "verbose"):
        monkeypatch.setattr(get_console(), name, type(getattr(get_console(), name))())


@pytest.fixture
def pool() -> Pool:
    """Forty rows."""
    return make_pool()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return Store(tmp_path / "store")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePackages]:
    """An empty folder of installed packages."""
    for variable in ("SELKIT_PLUGINS", "SELKIT_DISABLE_PLUGINS", "SELKIT_RAISE_PLUGIN_ERRORS"):
        monkeypatch.delenv(variable, raising=False)
    folder = FakePackages(tmp_path / "site", monkeypatch)
    yield folder
    folder.forget()
