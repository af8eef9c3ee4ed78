"""The built-in components pass the kit that everybody's plugins have to pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selkit.plugins import build
from selkit.plugins.builtin import BUILTINS
from selkit.select import Arms
from selkit.testing import check_component, sample_pool


def arms() -> Arms:
    """Another arm that chose five rows of the sample pool."""
    chosen = {"other": sample_pool().ids[:5]}
    return Arms(chosen=chosen, named=chosen)


def given_ids(folder: Path) -> dict[str, Any]:
    """A file of ids of the sample pool."""
    path = folder / "ids.txt"
    path.write_text("\n".join(sample_pool().ids[3:9]))
    return {"file": str(path)}


CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "random": lambda folder: {},
    "full": lambda folder: {},
    "longest": lambda folder: {"unit": "words"},
    "shortest": lambda folder: {"unit": "characters"},
    "strict-random": lambda folder: {},
    "random-low-overlap": lambda folder: {"max_overlap": 0.9},
    "length-matched-random": lambda folder: {"like": "other"},
    "subset": given_ids,
    "column": lambda folder: {"column": "truth", "ties": "random"},
    "oracle": lambda folder: {},
}


def test_every_builtin_selector_is_tried() -> None:
    """A new built-in needs a case here."""
    assert set(CASES) == set(BUILTINS["selector"])


@pytest.mark.parametrize("name", CASES)
def test_builtin_selector_conforms(name: str, tmp_path: Path) -> None:
    """Every check passes, or is opted out of with a reason."""
    report = check_component(build("selector", name, CASES[name](tmp_path)), arms=arms())
    assert report.ok, str(report)


def test_builtin_judge_conforms() -> None:
    """Closeness to the reference."""
    pytest.importorskip("sacrebleu")
    report = check_component(build("judge", "reference"))
    assert report.ok, str(report)
