"""toxfile.py: what pip is told, uv is told."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def toxfile(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, imported with an environment that is put back afterwards."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    spec = util.spec_from_file_location("toxfile_under_test", ROOT / "toxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_strongest_section_of_pip_wins(toxfile: ModuleType) -> None:
    """The environment beats [install], which beats [global]; sections of other commands do not count."""
    listing = """:env:.find-links='from-environment'
global.find-links='from-global'
global.cert='certificate'
install.cert='stronger'
download.index-url='not for installing'
"""
    assert toxfile.pip_options(listing) == {"find-links": "from-environment", "cert": "stronger"}


def test_several_values_are_separated_as_uv_wants_them(toxfile: ModuleType) -> None:
    """uv parts find-links by commas and indexes by blanks, and then has to choose versions as pip does."""
    variables = toxfile.uv_variables({"find-links": "\na b", "extra-index-url": "\nc\nd", "timeout": "9", "cert": " "})
    assert variables == {
        "UV_FIND_LINKS": "a,b",
        "UV_INDEX": "c d",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_a_file_of_pip_reaches_the_environment_and_replaces_nothing(tmp_path: Path) -> None:
    """Loading toxfile.py asks pip itself, and leaves alone what is already set for uv."""
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nfind-links = wheels\nindex-url = mine\n", "utf-8")
    code = "import os, toxfile; print(os.environ['UV_FIND_LINKS'], os.environ['UV_DEFAULT_INDEX'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"PIP_CONFIG_FILE": str(settings), "UV_DEFAULT_INDEX": "set", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["wheels", "set"]
