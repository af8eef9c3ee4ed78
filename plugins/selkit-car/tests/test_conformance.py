"""The conformance kit, on every variant that changes what is computed."""

from __future__ import annotations

import pytest
from selkit_car.car import Car
from selkit_car.iqs import Iqs

from selkit.plugins import build, find
from selkit.testing import SelectorConformance

pytest.importorskip("torch")
TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"


class TestEstimator(SelectorConformance):
    """The paper's scorer."""

    @pytest.fixture
    def component(self, estimator: str) -> Iqs:
        """Of the paper's parts."""
        return Iqs(estimator)


class TestComet(SelectorConformance):
    """The paper's other scorer, on the training texts' template."""

    @pytest.fixture
    def component(self, comet: str) -> Iqs:
        """Distance of anchor and answer."""
        return Iqs(comet, variant="comet", template="omit-empty-input")


class TestCar(SelectorConformance):
    """Ranking by IQS, with the default n1."""

    @pytest.fixture
    def component(self, estimator: str) -> Car:
        """As in the paper, with a small embedder."""
        return Car(Iqs(estimator), embedder=TINY)


class TestCarOfOtherScorers(SelectorConformance):
    """Any component ranks; two rows of each of three clusters."""

    @pytest.fixture
    def component(self) -> Car:
        """Ranked by length."""
        longest = build("selector", "longest", {"unit": "words"})
        return Car(longest, embedder=TINY, n2=2, clusters=3, variance=1.0)  # type: ignore[arg-type]


def test_the_package_is_found_by_its_names(estimator: str) -> None:
    """Installed like anyone else's package, both components are found, and one nests in the other."""
    assert (find("selector", "iqs"), find("selector", "car")) == (Iqs, Car)
    built = build("selector", "car", {"scorer": {"name": "iqs", "scorer": estimator, "variant": "comet"}, "n2": "2"})
    assert built == Car(Iqs(estimator, variant="comet"), n2=2)
    with pytest.raises(Exception, match="needs its parameter 'scorer'"):
        build("selector", "car", {})
