"""The conformance kit, on every rubric, with a server of this machine as the grader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from selkit_alpagasus.scorer import Alpagasus

from selkit.plugins import build, find
from selkit.testing import SelectorConformance
from selkit.testing.chat_server import Call, ChatServer

pytest.importorskip("openai")


def by_text(call: Call) -> str:
    """A rating from 0 to 5 in steps of a half that depends on every letter of the conversation."""
    said = "\0".join(message["content"] for message in call.body["messages"])
    return f"{hashlib.sha256(said.encode()).digest()[0] % 11 / 2:g}\n\nAn explanation."


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of the grader."""
    with ChatServer(by_text) as server:
        yield server.endpoint()


class TestOriginal(SelectorConformance):
    """Alpagasus's code."""

    @pytest.fixture
    def component(self, endpoint: str) -> Alpagasus:
        """The defaults but for the grader."""
        return Alpagasus(endpoint=endpoint)


class TestShen(SelectorConformance):
    """Another layout, and a random draw among equals."""

    @pytest.fixture
    def component(self, endpoint: str) -> Alpagasus:
        """Shen's rubric, with helpfulness and a threshold, so that some rows are left out."""
        return Alpagasus(rubric="shen", dimension="helpfulness", endpoint=endpoint, threshold=1.5)


@pytest.mark.slow
class TestChasingRandom(SelectorConformance):
    """Sampled answers of three tokens."""

    @pytest.fixture
    def component(self, endpoint: str) -> Alpagasus:
        """The rubric of 'Chasing Random', read by the corrected rule."""
        return Alpagasus(rubric="chasing-random", parse="single-number", endpoint=endpoint)


def test_the_package_is_found_by_its_name() -> None:
    """Installed like anyone else's package, it is found through its entry point."""
    assert find("selector", "alpagasus") is Alpagasus
    assert build("selector", "alpagasus", {"rubric": "shen", "parse": "none"}) == Alpagasus(rubric="shen")
    for parameter, value in (("rubric", "mine"), ("parse", "guess"), ("ties", "row order"), ("dimension", "quality")):
        with pytest.raises(Exception, match=parameter):
            build("selector", "alpagasus", {parameter: value})
