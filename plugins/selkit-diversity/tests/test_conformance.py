"""The conformance kit on the components and on the variants that take another way."""

from __future__ import annotations

import pytest
from selkit_diversity.facility_location import FacilityLocation
from selkit_diversity.k_center import KCenter
from selkit_diversity.kmeans import KMeans

from selkit.api import DataError
from selkit.plugins import build, find
from selkit.plugins.builtin.length import Longest
from selkit.testing import SelectorConformance

TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"


class TestKMeans(SelectorConformance):
    """Few clusters, as the sample pool is small."""

    component = KMeans(clusters=4, n_init=2)
    base_model = TINY


class TestKMeansByScore(SelectorConformance):
    """The best of each cluster."""

    component = KMeans(embedder=TINY, clusters=4, n_init=2, scorer=Longest(unit="words"), remainder="largest")


class TestKCenter(SelectorConformance):
    """The defaults."""

    component = KCenter()
    base_model = TINY


class TestKCenterWithoutItsStart(SelectorConformance):
    """From the medoid, which is not returned; every seed chooses the same."""

    component = KCenter(embedder=TINY, start="medoid", return_start=False, normalize=True, text="both")
    xfails = {"seed_as_declared": "from the medoid there is nothing to draw"}  # noqa: RUF012


class TestFacilityLocation(SelectorConformance):
    """The defaults; it is skipped where submodlib is not installed."""

    component = FacilityLocation()
    base_model = TINY


@pytest.mark.parametrize("cls", [KMeans, KCenter, FacilityLocation])
def test_the_package_is_found_by_its_name(cls: type) -> None:
    """Installed like anyone else's package, it is found through its entry point, and parameters are checked."""
    assert find("selector", cls.name) is cls
    assert build("selector", cls.name, {"text": "both"}) == cls(text="both")
    with pytest.raises(Exception, match="text"):
        build("selector", cls.name, {"text": "everything"})


def test_refusals_come_before_any_work() -> None:
    """What is wrong with the sample pool's thirty rows is said in one sentence."""
    from selkit.select import select
    from selkit.testing import sample_pool

    with pytest.raises(DataError, match=r"cannot make 100 clusters of the 30 rows of pool .*: ask for fewer"):
        select(sample_pool(30), KMeans(embedder=TINY), 5)
