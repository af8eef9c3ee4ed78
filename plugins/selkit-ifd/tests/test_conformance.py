"""The conformance kit, on every component and every variant that changes the score."""

from __future__ import annotations

import pytest
from selkit_ifd.perplexity import Perplexity
from selkit_ifd.scorer import Ifd
from selkit_ifd.superfiltering import Superfiltering

from selkit.testing import SelectorConformance

TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"
RECIPE = {"preset": "quickstart", "max_steps": 2, "batch_size": 4}


class TestCherryWithoutExperience(SelectorConformance):
    """The score alone, without the bound, so that an untrained model leaves enough rows."""

    component = Ifd(pre_experience="none", bound="none")
    base_model = TINY


@pytest.mark.slow
class TestCherry(SelectorConformance):
    """Both stages: clusters, training, and the score of the trained model."""

    component = Ifd(model=TINY, bound="none", recipe=RECIPE, clusters=4, per_cluster=2)


class TestSuperfiltering(SelectorConformance):
    """Perplexities, the bare prompt, no anchor."""

    component = Superfiltering(model=TINY, bound="none")


@pytest.mark.slow
class TestPerplexity(SelectorConformance):
    """Of the response given the prompt, high ones first."""

    component = Perplexity()
    base_model = TINY


@pytest.mark.slow
class TestMiddlePerplexity(SelectorConformance):
    """Of the whole text, from the middle of the pool."""

    component = Perplexity(of="whole", order="middle")
    base_model = TINY


def test_the_package_is_found_by_its_names() -> None:
    """Installed like anyone else's package, it is found through its entry point."""
    from selkit.plugins import build, find

    assert [find("selector", name) for name in ("ifd", "superfiltering", "perplexity")] == [
        Ifd,
        Superfiltering,
        Perplexity,
    ]
    assert build("selector", "ifd", {"ratio": "perplexity", "pre_experience": "none"}) == Ifd(
        ratio="perplexity", pre_experience="none"
    )
    with pytest.raises(Exception, match="ratio"):
        build("selector", "ifd", {"ratio": "logits"})


def test_the_defaults_are_those_of_the_papers() -> None:
    """What a researcher cites who names the component and nothing else."""
    cherry = Ifd().parameters()
    assert cherry == {
        "model": None,
        "ratio": "loss",
        "bound": "at-most-one",
        "anchor": "response",
        "template": "alpaca",
        "max_length": 512,
        "length": "truncate",
        "pre_experience": "cherry",
        "recipe": "cherry-pre-experience",
        "clusters": 100,
        "per_cluster": 10,
        "low": 25,
        "high": 75,
    }
    assert Superfiltering().parameters() == {
        "model": "hub:openai-community/gpt2",
        "ratio": "perplexity",
        "bound": "below-one",
        "anchor": "none",
        "template": "plain",
        "max_length": 1024,
        "length": "truncate",
    }
