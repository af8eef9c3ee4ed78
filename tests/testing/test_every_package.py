"""Whoever ships a component with selkit holds it to the kit that strangers use, in the package's own tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("judges/*/pyproject.toml"), ROOT / "tasks/pyproject.toml"]
)
KITS = {
    "selkit_selectors": "SelectorConformance",
    "selkit_judges": "JudgeConformance",
    "selkit_benchmarks": "BenchmarkConformance",
}


@pytest.mark.parametrize("project", PACKAGES, ids=lambda project: project.parent.name)
def test_the_package_uses_the_kit_of_its_kind(project: Path) -> None:
    """A class of its tests derives from the conformance class of every hook that the package implements."""
    folder = project.parent
    (hooks,) = folder.glob("selkit_*/__init__.py")
    implemented = {node.name for node in ast.parse(hooks.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}
    wanted = {kit for hook, kit in KITS.items() if hook in implemented}
    assert wanted
    assert wanted <= _bases(folder / "tests")


def _bases(tests: Path) -> set[str]:
    """Names that classes of these tests derive from."""
    trees = (ast.parse(path.read_text("utf-8")) for path in tests.rglob("test_*.py"))
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {base.id for cls in classes for base in cls.bases if isinstance(base, ast.Name)}
