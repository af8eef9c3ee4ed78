"""What runs of an experiment that are disturbed share: a server, libraries that are loaded, the undisturbed report."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import yaml
from zygote import BENCH, Zygote

from selkit.testing import ChatServer, failure

KEY = "sk-sentinel-0123456789abcdef"
"""The key that requests are sent with, which nothing may keep."""


class World:
    """A server with its moods, the process that forks runs, and the report of an undisturbed run."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._endpoints = folder / "endpoints.yaml"
        patience = {"backoff": 0.01, "retry_seconds": 20.0, "concurrency": 4, "key_variable": "SERVER_KEY"}
        self._endpoints.write_text(yaml.safe_dump({"default": patience}))
        self.throttled = 0
        self.out_of_money = False
        self.answered: Counter[str] = Counter()
        self.open = threading.Event()
        self.open.set()
        self.server = ChatServer(self._answer)
        self.folder = folder

    def _answer(self, call: Any) -> Any:
        if self.out_of_money:
            return failure(429, "insufficient_quota")
        if self.throttled:
            self.throttled -= 1
            return failure(429, "rate_limit_exceeded", headers={"retry-after-ms": "5"})
        self.answered[call.text] += 1
        self.open.wait()
        first, second = hashlib.sha256(call.text.encode()).digest()[:2]
        return f"{first % 10} {second % 10}"

    def __enter__(self) -> Self:
        """Loads the libraries and runs once undisturbed."""
        self.server.__enter__()
        variables = {"SELKIT_ENDPOINTS": str(self._endpoints), "SERVER_KEY": KEY}
        self.zygote = Zygote(self.kind, self.server.endpoint(), **variables).__enter__()
        self.calm = self.folder / "calm"
        self.calm.mkdir()
        began = time.monotonic()
        assert self.zygote.wait(self.zygote.start(self.calm)) == 0, (self.calm / "log").read_text()
        self.seconds = time.monotonic() - began
        self.wanted = self.report(self.calm)
        assert self.answered
        return self

    def __exit__(self, *ended: Any) -> None:
        self.zygote.__exit__(*ended)
        self.server.__exit__(*ended)

    def new(self) -> Path:
        """A new folder for runs."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def run(self, folder: Path, **changes: Any) -> int:
        """The exit code of a run in a folder; see :meth:`zygote.Zygote.start`."""
        return self.zygote.wait(self.zygote.start(folder, **changes))

    def report(self, folder: Path) -> Any:
        """What must be the same, of a run in this folder."""
        if self.kind == "light":
            return json.loads((folder / "report.json").read_text())
        report: Mapping[str, bytes] = load_kill().report_of(folder)
        return report


def load_kill() -> ModuleType:
    """bench/kill.py."""
    spec = importlib.util.spec_from_file_location("kill", BENCH / "kill.py")
    assert spec is not None
    assert spec.loader is not None
    kill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kill)
    return kill
