"""The conformance kit, on every variant that changes the score."""

from __future__ import annotations

import pytest
from selkit_ifd.scorer import Ifd

from selkit.testing import SelectorConformance

TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"


class TestCherry(SelectorConformance):
    """The defaults but for the bound, so that an untrained model leaves enough rows."""

    component = Ifd(bound="none")
    base_model = TINY


class TestSuperfilteringRatio(SelectorConformance):
    """Perplexities, the bare prompt, no anchor."""

    component = Ifd(model=TINY, ratio="perplexity", bound="none", anchor="none", template="plain")


def test_the_package_is_found_by_its_name() -> None:
    """Installed like anyone else's package, it is found through its entry point."""
    from selkit.plugins import build, find

    assert find("selector", "ifd") is Ifd
    assert build("selector", "ifd", {"ratio": "perplexity"}) == Ifd(ratio="perplexity")
    with pytest.raises(Exception, match="ratio"):
        build("selector", "ifd", {"ratio": "logits"})
