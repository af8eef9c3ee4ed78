"""The stages of an experiment: pieces of work whose results are stored once, and how large each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow.compute as pc

from selkit.api import Component, Pool, PromptJudge
from selkit.experiment.cells.job import Asked, CellJob
from selkit.experiment.setup.experiment import Experiment
from selkit.models.client import parse_endpoint
from selkit.pools import TestPrompt
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
    """The endpoint or the model that a component asks, with the requests at most, as fields of a stage.

    A judge that asks by prompts, and neither an endpoint nor a model of this machine, has a client of its own.
    """
    texts = [value for value in vars(component).values() if isinstance(value, str)]
    endpoint = next((text for text in texts if text.startswith(_REMOTE) and parse_endpoint(text)), "")
    # by convention a model of which only the tokenizer is read stands in a parameter of that name
    models = [getattr(component, name) for name in component.model_parameters() if name != "tokenizer"]
    model = next((str(ref) for ref in models if ref), "")
    if isinstance(component, PromptJudge):
        endpoint = endpoint or ("" if model else f"the client of {component.name}")
        calls *= 1 + component.reasks
    return {"endpoint": endpoint, "model": model, "calls": calls if endpoint else 0}


_REMOTE = ("openai:", "http://", "https://")


@lru_cache(maxsize=32)
def mean_characters(pool: Pool) -> float:
    """Characters of a row of a pool, on average."""
    if not len(pool):
        return 0.0
    lengths = (pc.sum(pc.utf8_length(pool.column(name))).as_py() for name in ("instruction", "input", "response"))
    return float(sum(lengths)) / len(pool)


def answers_size(asked: Asked) -> dict[str, float]:
    """What a model reads and writes that answers a test set, as fields of a stage: every turn that is answered is a
    row, and is read with all turns and answers before it."""
    characters = sum(_said(prompt, turn) + turn * _longest(asked) for prompt, turn in _turns(asked))
    rows = len(_turns(asked))
    return {"rows": rows, "characters": characters, "tokens_out": float(rows * asked.decoding.max_new_tokens)}


def judged_characters(asked: Asked) -> float:
    """Most characters that a judge of two answers reads of a test set, each comparison once."""
    return sum(_said(prompt, turn) + 2 * (turn + 1) * _longest(asked) for prompt, turn in _turns(asked))


def _turns(asked: Asked) -> list[tuple[TestPrompt, int]]:
    """Every answered turn: its prompt, and how many come before it."""
    every = asked.turns == "all"
    return [(one, turn) for one in asked.testset.prompts for turn in range(1 + (len(one.turns) if every else 0))]


def _said(prompt: TestPrompt, turn: int) -> float:
    return float(sum(map(len, (prompt.prompt.question, *prompt.turns[:turn]))))


def _longest(asked: Asked) -> float:
    """Characters of the longest answer; a token is about four."""
    return 4.0 * asked.decoding.max_new_tokens


@lru_cache(maxsize=64)
def lines_in(path: Path) -> int:
    """Rows of a file of one record a line."""
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
