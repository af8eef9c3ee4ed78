"""The conformance kit, on both scorers and on every way of ranking and of filling a budget."""

from __future__ import annotations

import pytest
from selkit_deita.scorers import DeitaComplexity, DeitaQuality
from selkit_deita.selector import Deita

from selkit.api import UsageError
from selkit.testing import SelectorConformance

TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"


class TestComplexity(SelectorConformance):
    """Long rows are left out."""

    component = DeitaComplexity(model=TINY)


class TestQuality(SelectorConformance):
    """Long rows are cut; the base model rates."""

    component = DeitaQuality(model=None, length="truncate")
    base_model = TINY


class TestDeita(SelectorConformance):
    """The product of both scores, the threshold raised where the filter ends early."""

    component = Deita(complexity=DeitaComplexity(TINY), quality=DeitaQuality(TINY), embedder=TINY)


class TestQualityAlone(SelectorConformance):
    """As 'Chasing Random' ran it, with a filter so strict that most rows are dropped, and fewer rows for it."""

    component = Deita(
        score="quality", quality=DeitaQuality(TINY), embedder=None, max_length=512, threshold=0.5, underflow="short"
    )
    base_model = TINY


def test_the_package_is_found_by_its_names() -> None:
    """Installed like anyone else's package, its components are found through its entry point."""
    from selkit.plugins import build, find

    assert find("selector", "deita-complexity") is DeitaComplexity
    assert find("selector", "deita-quality") is DeitaQuality
    assert build("selector", "deita", {"quality": {"model": TINY}}) == Deita(quality=DeitaQuality(TINY))
    with pytest.raises(UsageError, match="underflow"):
        build("selector", "deita", {"underflow": "guess"})
