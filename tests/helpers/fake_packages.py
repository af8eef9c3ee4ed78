"""Installs made-up plugin packages: metadata and a module in a folder, found as any installed package is."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from selkit.plugins import PluginManager, manager

SCORER = '''
from __future__ import annotations
from dataclasses import dataclass
from selkit.api import Scorer, hookimpl

@dataclass
class Overlap(Scorer):
    """Counts words.

    Args:
        floor: The least that counts.
    """

    name = "{name}"
    floor: int = 3

    def score(self, pool, ctx):
        return [float(len(row.response)) for row in ctx.track(pool)]

@hookimpl
def selkit_selectors():
    return [Overlap]
'''
"""Source of a package that works; ``{name}`` is the component's."""


class FakePackages:
    """A folder of installed packages at the front of the path of this process and of its children."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._modules = set(sys.modules)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder))

    def install(
        self, distribution: str, source: str, *, entry_point: str = "", module: str = "", version: str = "0.1"
    ) -> Path:
        """Installs a package of one module; the entry point is named like the package unless told otherwise."""
        module = module or distribution.replace("-", "_")
        lines = f"[selkit]\n{entry_point or distribution} = {module}\n"
        self.metadata(distribution, lines, version)
        path = self.folder / f"{module.partition(':')[0]}.py"
        path.write_text(dedent(source), encoding="utf-8")
        self.forget()
        return path

    def works(self, distribution: str, name: str, **options: str) -> Path:
        """Installs a package that provides one selector called ``name``."""
        return self.install(distribution, SCORER.format(name=name), **options)

    def install_folder(self, source: Path) -> Path:
        """Installs a package of ``tests/packages``: its module's folder, and what its pyproject.toml says of it."""
        project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        points = project["entry-points"]["selkit"]
        lines = "".join(f"{name} = {module}\n" for name, module in points.items())
        self.metadata(project["name"], f"[selkit]\n{lines}", project["version"])
        for module in points.values():
            shutil.copytree(source / module, self.folder / module, ignore=shutil.ignore_patterns("__pycache__"))
        self.forget()
        return self.folder / next(iter(points.values()))

    def metadata(self, distribution: str, entry_points: str, version: str = "0.1") -> None:
        """Writes what pip would have written of a package."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)

    def manager(self) -> PluginManager:
        """A new plugin host that knows the packages installed so far."""
        self.forget()
        return PluginManager()

    def forget(self) -> None:
        """Drops what this process has cached of packages, and the modules imported from them."""
        importlib.invalidate_caches()
        manager.cache_clear()
        for name in set(sys.modules) - self._modules:
            if str(self.folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]

    def selkit(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs ``selkit ARGUMENTS`` in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "selkit", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=60,
            check=False,
        )
