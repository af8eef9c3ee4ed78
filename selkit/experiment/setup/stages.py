"""The stages of an experiment: pieces of work whose results are stored once, and how large each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow.compute as pc

from selkit.api import Component, Pool
from selkit.experiment.cells.job import CellJob
from selkit.experiment.setup.experiment import Experiment
from selkit.models.client import parse_endpoint
from selkit.pools import TestSet
from selkit.store import Artifact

Kind = Literal["scoring", "selection", "training", "validation", "answers", "benchmark", "judging"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Stage:
    """One piece of work whose result is stored once.

    Args:
        kind: What is done.
        name: What people call it.
        id: Digest of its key, or of what stands for a key that is not known yet.
        stored: Whether the result is there.
        needs: Ids of the stages that it builds on.
        model: Reference of the model that computes, where one does.
        endpoint: Reference of the endpoint that is asked, where one is.
        rows: Rows scored, chosen or trained on (all passes over them), prompts answered, or items of a benchmark.
        characters: Characters of those rows or prompts.
        tokens_out: Most tokens that are written.
        calls: Requests of the endpoint at most; for judges without one, passes.
        component: Name of the component.
        detail: What estimates need beside (the recipe's settings of a training).
        artifact: The stored result.
    """

    kind: Kind
    name: str
    id: str
    stored: bool
    needs: tuple[str, ...] = ()
    model: str = ""
    endpoint: str = ""
    rows: int = 0
    characters: float = 0.0
    tokens_out: float = 0.0
    calls: int = 0
    component: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    artifact: Artifact | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Survey:
    """The cells of an experiment and the stages behind them.

    Args:
        experiment: The experiment.
        stages: Every stage by its id, each after those that it needs.
        cells: Ids of the stages of every cell, in their order; anchors that are models under their label.
        jobs: The job of every cell, with made-up rows where the selection is not stored.
    """

    experiment: Experiment
    stages: Mapping[str, Stage]
    cells: Mapping[str, tuple[str, ...]]
    jobs: Mapping[str, CellJob]

    def of(self, kind: Kind) -> list[Stage]:
        """The stages of a kind."""
        return [stage for stage in self.stages.values() if stage.kind == kind]

    def is_done(self, label: str) -> bool:
        """Whether every stage of a cell is stored."""
        return all(self.stages[one].stored for one in self.cells[label])

    @cached_property
    def done(self) -> list[str]:
        """Labels of the cells of which every stage is stored."""
        return [label for label in self.cells if self.is_done(label)]

    def to_dict(self) -> dict[str, Any]:
        """Cells and stages as JSON: a graph, each stage after those that it needs."""
        shown = ("kind", "name", "id", "stored", "needs", "component", "model", "endpoint", "rows", "calls")
        return {
            "cells": [
                {"cell": label, "done": self.is_done(label), "stages": list(ids)} for label, ids in self.cells.items()
            ],
            "graph": [{name: getattr(stage, name) for name in shown} for stage in self.stages.values()],
        }


def asked_by(component: Component, calls: int) -> dict[str, Any]:
    """The endpoint or the model that a component asks, with the requests, as fields of a stage."""
    texts = [value for value in vars(component).values() if isinstance(value, str)]
    endpoint = next((text for text in texts if text.startswith(_REMOTE) and parse_endpoint(text)), "")
    # by convention a model of which only the tokenizer is read stands in a parameter of that name
    models = [getattr(component, name) for name in component.model_parameters() if name != "tokenizer"]
    model = next((str(ref) for ref in models if ref), "")
    return {"endpoint": endpoint, "model": model, "calls": calls if endpoint else 0}


_REMOTE = ("openai:", "http://", "https://")


@lru_cache(maxsize=32)
def mean_characters(pool: Pool) -> float:
    """Characters of a row of a pool, on average."""
    if not len(pool):
        return 0.0
    lengths = (pc.sum(pc.utf8_length(pool.column(name))).as_py() for name in ("instruction", "input", "response"))
    return float(sum(lengths)) / len(pool)


def question_characters(testset: TestSet) -> float:
    """Characters of the prompts of a test set together."""
    return float(sum(len(prompt.prompt.question) for prompt in testset.prompts))


@lru_cache(maxsize=64)
def lines_in(path: Path) -> int:
    """Rows of a file of one record a line."""
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
