"""Whoever ships a component with selkit holds it to the kit that strangers use, in the package's own tests."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from selkit.api import Component
from selkit.plugins import KINDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("judges/*/pyproject.toml"), ROOT / "tasks/pyproject.toml"]
)
KITS = {"selector": "SelectorConformance", "judge": "JudgeConformance", "benchmark": "BenchmarkConformance"}


@pytest.mark.parametrize("project", PACKAGES, ids=lambda project: project.parent.name)
def test_every_component_is_held_to_the_kit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class that a hook returns is named in a class of the tests that derives from its kit, or opted out of it."""
    folder = project.parent
    components = _components(folder, monkeypatch)
    assert components
    trees = [ast.parse(path.read_text("utf-8")) for path in (folder / "tests").rglob("test_*.py")]
    tried = {kind: _named_in_classes_of(kit, trees) for kind, kit in KITS.items()}
    excused = _opted_out(trees)
    assert [cls.__name__ for kind, cls in components if cls.__name__ not in tried[kind] | excused] == []
    assert [name for name in excused if any(name in names for names in tried.values())] == [], "both tried and excused"


@pytest.mark.parametrize("project", PACKAGES, ids=lambda project: project.parent.name)
def test_the_package_knows_the_mark_of_slow_tests(project: Path) -> None:
    """Its environment leaves those out, and pytest refuses a mark that the package does not declare."""
    options = tomllib.loads(project.read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert [mark.partition(":")[0] for mark in options["markers"]] == ["slow"]


def _components(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, type[Component]]]:
    """What the hooks of a package return, each with its kind; the package need not be installed."""
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    (hooks,) = folder.glob("selkit_*/__init__.py")
    module = import_module(hooks.parent.name)
    found = [
        (kind.name, cls)
        for kind in KINDS.values()
        if (hook := vars(module).get(kind.hook)) is not None
        for cls in hook()
    ]
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == module.__name__:
            del sys.modules[name]
    return found


def _named_in_classes_of(kit: str, trees: list[ast.Module]) -> set[str]:
    """Names that stand in classes which derive from ``kit``."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    mine = [cls for cls in classes if any(isinstance(base, ast.Name) and base.id == kit for base in cls.bases)]
    return {node.id for cls in mine for node in ast.walk(cls) if isinstance(node, ast.Name)}


def _opted_out(trees: list[ast.Module]) -> set[str]:
    """Keys of tables called NOT_TRIED; the value of each is the reason."""
    assigned = [node for tree in trees for node in tree.body if isinstance(node, ast.Assign)]
    tables = [node.value for node in assigned if [ast.unparse(one) for one in node.targets] == ["NOT_TRIED"]]
    pairs = [
        pair for table in tables if isinstance(table, ast.Dict) for pair in zip(table.keys, table.values, strict=True)
    ]
    silent = [value for _, value in pairs if isinstance(value, ast.Constant) and not str(value.value).strip()]
    assert silent == []
    return {key.id for key, _ in pairs if isinstance(key, ast.Name)}
