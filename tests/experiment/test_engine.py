"""The engine of an experiment: what runs the trained models when they answer."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selkit.api import ALPACA, Decoding, Example, MissingExtra, UsageError
from selkit.experiment import parse_spec
from selkit.experiment.cells.job import Asked, CellJob, responses_key
from selkit.experiment.setup.experiment import prepare
from selkit.pools import TestPrompt, TestSet
from selkit.store import Store

SPEC: dict[str, Any] = {
    "name": "small",
    "pools": "planted",
    "model": "tiny:words",
    "recipe": "quickstart",
    "selectors": ["random", "oracle"],
    "budgets": 10,
    "testsets": {"planted": {"judges": ["reference"]}},
}


def test_a_local_engine_is_named_in_the_spec() -> None:
    """transformers where none is; a server trains nothing, so that it is none of an experiment's."""
    assert parse_spec(SPEC).engine == "hf"
    assert parse_spec({**SPEC, "engine": "vllm"}).engine == "vllm"
    with pytest.raises(UsageError, match="engine is 'openai': it is one of 'hf', 'vllm'"):
        parse_spec({**SPEC, "engine": "openai"})


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed here")
def test_an_engine_that_is_missing_stops_the_experiment_before_it_begins(store: Store) -> None:
    """With the command that installs it."""
    with pytest.raises(MissingExtra, match=r"engine vllm needs .*selkit-eval\[vllm\]"):
        prepare(parse_spec({**SPEC, "engine": "vllm"}), store)


def test_answers_of_another_engine_are_other_answers(tmp_path: Path) -> None:
    """The same cell under another engine has another key."""
    pytest.importorskip("torch")
    asked = Asked(TestSet("one", (TestPrompt("a", Example("a", "One?")),)), Decoding())
    job = CellJob("anchor", "tiny:words", None, ALPACA.name, 0, (asked,), (), tmp_path, 1)
    keys = [responses_key(one, asked) for one in (job, replace(job, engine="vllm"), replace(job, threads=2))]
    assert len({key.digest for key in keys}) == 3
    assert [key.component for key in keys] == ["hf", "vllm", "hf"]
