"""What the tests of the request client share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from selkit.models.client import ChatService
from selkit.store import Store


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, prices, keys, addresses or proxies of the person who runs the tests."""
    for name in ("SELKIT_ENDPOINTS", "SELKIT_PRICES", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes endpoints.yaml when called with settings; they hold for every address."""

    def write(**values: Any) -> None:
        path = tmp_path / "endpoints.yaml"
        document = {"default": {"backoff": 0.02, "timeout": 5.0, "retry_seconds": 5.0, **values}}
        path.write_text(yaml.safe_dump(document), "utf-8")
        monkeypatch.setenv("SELKIT_ENDPOINTS", str(path))

    write()
    return write


@pytest.fixture
def service(store: Store, settings: Callable[..., None]) -> Iterator[ChatService]:
    """Endpoints with a store of their own, quick to try again."""
    with ChatService(store) as service:
        yield service
