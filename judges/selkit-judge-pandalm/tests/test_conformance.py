"""The conformance kit, with a tiny model in PandaLM's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from selkit_judge_pandalm.judge import PandaLM
from selkit_judge_pandalm.prompt import prompt_of

from selkit.testing import JudgeConformance, sample_comparisons

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(rig: Callable[[Mapping[str, str]], str]) -> str:
    """A model that says '1' of every sample comparison; of anything else, whatever comes."""
    return rig({prompt_of(comparison): "1\n" for comparison in sample_comparisons()})


class TestPandaLM(JudgeConformance):
    """Short answers, two beams."""

    @pytest.fixture
    def component(self, model: str) -> PandaLM:
        """The judge with that model."""
        return PandaLM(model=model, beams=2, max_new_tokens=4)
