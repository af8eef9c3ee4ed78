"""The documentation says what the code does: no command, parameter, hook or environment variable is left out."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selkit.plugins import find, parameters_of, specs

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
AGAIN = "run `python docs/build_reference.py` and commit what it writes"


@pytest.fixture(scope="module")
def builder() -> dict[str, Any]:
    """The functions of docs/build_reference.py."""
    return runpy.run_path(str(DOCS / "build_reference.py"))


def test_every_command_is_documented(builder: dict[str, Any]) -> None:
    """The page of commands is the one that the commands give now."""
    page: Callable[[], str] = builder["commands_page"]
    assert (DOCS / "reference" / "commands.md").read_text("utf-8") == page(), AGAIN


def test_every_parameter_of_the_built_in_selectors_is_documented(builder: dict[str, Any]) -> None:
    """The tables of built-in selectors are the ones that the classes give now, and no parameter lacks its meaning."""
    text = (DOCS / "reference" / "selectors.md").read_text("utf-8")
    assert text == builder["selectors_page"](text), AGAIN
    assert "|  |" not in text


@pytest.mark.parametrize("name", ["ifd", "superfiltering", "perplexity"])
def test_every_parameter_of_selkit_ifd_is_documented(name: str) -> None:
    """The page of selectors has a row for each parameter of the package's components, with its default."""
    pytest.importorskip("selkit_ifd")
    section = (
        (DOCS / "reference" / "selectors.md").read_text("utf-8").partition(f"### `{name}`")[2].partition("\n##")[0]
    )
    for parameter in parameters_of(find("selector", name)).values():
        row = next((line for line in section.splitlines() if line.startswith(f"| `{parameter.name}` |")), "")
        default = "none" if parameter.default is None else f"`{parameter.default}`"
        assert f"| {default} |" in row, parameter.name
        assert all(f"`{choice}`" in row for choice in parameter.choices), parameter.name


def test_every_hook_is_documented() -> None:
    """The page of hooks names every hook."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    hooks = [name for name in vars(specs) if name.startswith("selkit_")]
    assert hooks
    assert [name for name in hooks if f"`{name}`" not in page] == []


def test_every_environment_variable_is_documented() -> None:
    """The page of hooks names every variable that the source of selkit looks up, and none that it does not."""
    page = (DOCS / "reference" / "hooks.md").read_text("utf-8")
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "selkit").rglob("*.py"))
    looked_up = set(re.findall(r"\"(SELKIT_[A-Z_]+)\"", source))
    assert looked_up == set(re.findall(r"^\| `(SELKIT_[A-Z_]+)` \|", page, re.MULTILINE))


def test_links_within_the_documentation_lead_somewhere() -> None:
    """Every relative link of every page names a file that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in DOCS.rglob("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
