"""A headless Chromium for tests of pages: what it logged, asked for, and opened is remembered."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright's; skips where playwright or Chromium is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
    )
    if not path:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A page that is open: ``said`` on the console, ``asked`` of the network, ``dialogs`` that it opened."""

    def __init__(
        self, browser: Any, file: Path, *, width: int = 1280, height: int = 900, scheme: str = "light"
    ) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.dialogs: list[str] = []
        self.page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._dialog)
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-items=ready]", timeout=20_000, state="attached")

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def until(self, condition: str, seconds: float = 10) -> None:
        """Waits until an expression is true (playwright's own way evaluates text, which the page's policy forbids)."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never came true: {condition}"
            self.page.wait_for_timeout(20)

    def rows(self) -> list[str]:
        """The texts of the rows of the list that are drawn."""
        found: list[str] = self.page.locator("#rows .row").all_inner_texts()
        return found

    def count(self) -> str:
        """The line that counts the items."""
        text: str = self.page.locator("#count").inner_text()
        return text

    def keep(self, name: str, folder: Path, *, whole: bool = True) -> None:
        """A screenshot of the page, or of what is in sight, in SELKIT_SCREENSHOTS or else the test's folder."""
        target = Path(os.environ.get("SELKIT_SCREENSHOTS", folder))
        target.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(target / f"{name}.png"), full_page=whole, timeout=90_000)
