"""Every package of this repository in one environment: all of them work, and no name belongs to two."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from selkit.plugins import find, installed, missing_requirements
from selkit.store import package_version

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    *(
        folder.parent.name
        for group in ("plugins", "judges")
        for folder in sorted((ROOT / group).glob("*/pyproject.toml"))
    ),
    "selkit-tasks",
]


@pytest.fixture(scope="module", autouse=True)
def _all_installed() -> None:
    """Only where every package is installed."""
    missing = [name for name in PACKAGES if package_version(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_every_package_provides_something_and_none_fails() -> None:
    """Each is listed, and as sound."""
    rows = [row for row in installed() if row.distribution in PACKAGES]
    assert {row.distribution for row in rows} == set(PACKAGES)
    assert [(row.name, row.status, row.reason) for row in rows if row.status != "ok"] == []


def test_every_parameter_of_every_package_is_documented() -> None:
    """The page of packages is the one that their classes give now, and no parameter lacks its meaning."""
    builder = runpy.run_path(str(ROOT / "docs" / "build_reference.py"))
    page = (ROOT / "docs" / "reference" / "packages.md").read_text("utf-8")
    assert page == builder["packages_page"](), "run `python docs/build_reference.py` and commit what it writes"
    assert "|  |" not in page


def test_no_name_belongs_to_two() -> None:
    """Within a kind, built-ins included."""
    names = Counter((row.kind, row.name) for row in installed())
    assert [name for name, times in names.items() if times > 1] == []
    assert [row.reason for row in installed() if row.reason] == []


def test_what_a_component_needs_is_installed_with_its_package() -> None:
    """All but what only an extra brings, which the class names."""
    for row in installed():
        cls = find(row.kind, f"{row.distribution}:{row.name}")
        assert not missing_requirements(cls) or cls.extra, row.name
