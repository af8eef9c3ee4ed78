"""The classes that pages for authors show work: they are run through the conformance kit as they stand there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fake_packages import FakePackages

from selkit.api import Scorer
from selkit.plugins.builtin.length import Longest
from selkit.testing import check_component

DOCS = Path(__file__).resolve().parents[2] / "docs" / "how-to"

HOOK = """

from selkit.api import hookimpl

@hookimpl
def selkit_selectors():
    return [{name}]
"""


def shown(page: str, name: str, packages: FakePackages) -> Any:
    """The class of that name, from a package that holds the page's module."""
    text = (DOCS / page).read_text("utf-8")
    (block,) = [
        re.sub("^    ", "", block, flags=re.MULTILINE)
        for block in re.findall(r"\n\n((?:    .*\n|\n(?=\n*    ))+)", text)
        if block.startswith('    """') and f"class {name}(" in block
    ]
    packages.install(f"page-{name.lower()}", block + HOOK.format(name=name))
    return getattr(import_module(f"page_{name.lower()}"), name)


def test_top_draw_keeps_the_rules(packages: FakePackages) -> None:
    """Every check that applies, over a nested scorer."""
    cls = shown("compose.md", "TopDraw", packages)
    report = check_component(cls(scorer=Longest(unit="words")))
    assert "; ".join(f"{one.name}: {one.reason}" for one in report.results if one.status == "failed") == ""


@pytest.mark.slow
def test_surprise_keeps_the_rules(packages: FakePackages) -> None:
    """Every check that applies, with a tiny model in the base model's place."""
    pytest.importorskip("torch")
    cls = shown("scorer-with-a-model.md", "Surprise", packages)
    assert issubclass(cls, Scorer)
    report = check_component(cls(), base_model="tiny:bytes")
    assert "; ".join(f"{one.name}: {one.reason}" for one in report.results if one.status == "failed") == ""
