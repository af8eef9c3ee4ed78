"""Benchmarks: prompts with a programmatic score, run through lm-eval, alone or as a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

from selkit.api.components import Component
from selkit.api.errors import UsageError


@dataclass(frozen=True)
class BenchmarkItem:
    """One scored item of a benchmark.

    Args:
        item: What the item is joined by across models: lm-eval's hash of the row.
        prompt: What lm-eval asked, before the template.
        response: What the model answered, or the choice it found likeliest.
        scores: The metrics, each in [0, 1].
        weights: What the item counts in the mean of a metric, where that is not 1, e.g. IFEval's instructions.
        cluster: Items of one cluster are not independent of each other.
        truncated: Whether a question of the item did not fit the model's context and lost its beginning; the host fills
            it in.
    """

    item: str
    prompt: str
    response: str
    scores: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    cluster: str | None = None
    truncated: bool = False


@dataclass(frozen=True)
class HubData:
    """Where a benchmark's rows are on the Hugging Face hub; its splits are called there as lm-eval calls them.

    Args:
        dataset: Name of the data set.
        config: Name of the configuration, where it has several.
    """

    dataset: str
    config: str | None = None


class BaseBenchmark(Component, ABC):
    """What a benchmark and a group of benchmarks share."""

    @property
    def label(self) -> str:
        """What tables and results call it."""
        return self.name


class Benchmark(BaseBenchmark):
    """A benchmark: an lm-eval task, the data it needs, and what of its results counts.

    Attributes:
        size: Rows of the published data that is scored.
        metrics: The metrics that every item has, and whether high is good, by lm-eval's name; None where neither end is
            good, as of how often the first of two is taken. Where a task has several filters, the first keeps the bare
            name and the others are called ``METRIC,FILTER``.
        primary: The metric that verdicts are given on.
        splits: Path of each split's rows within a folder of local data, by lm-eval's name; the scored split first.
        hub_data: Name of the published data set, for the error that says what is missing.
        hub: Where `selkit eval prefetch` gets the rows; None where no data set of the hub can be read as it is.
        digests: What :func:`selkit.evals.data.rows_digest` gives for the rows that the benchmark was made with, by
            split; other rows are noted. A split without one is not compared.
        columns: What every row of the data must have, by name, with its type in JSON; checked before any model loads.
        sample: Rows that are drawn where nobody says how many; None takes all.
        records_per_row: Questions that the task makes of one row, side by side; a draw takes them together.
    """

    size: int
    metrics: Mapping[str, bool | None]
    primary: str
    splits: Mapping[str, str]
    hub_data: str
    hub: HubData | None = None
    digests: Mapping[str, str] = {}
    columns: Mapping[str, type] = {}
    sample: int | None = None
    records_per_row: int = 1

    @abstractmethod
    def task_config(self) -> dict[str, Any]:
        """The lm-eval task as its YAML file would hold it, without its data.

        A value of the form ``!function module.name`` stands for that function. The key ``task`` names the task.
        """

    def items(self, samples: Sequence[Mapping[str, Any]]) -> list[BenchmarkItem]:
        """The items of lm-eval's sample records, which come in the order of the data, those of one row together."""
        rows = groupby(samples, key=lambda sample: sample["doc_id"])
        return [self.item(list(of_row)) for _, of_row in rows]

    def item(self, samples: Sequence[Mapping[str, Any]]) -> BenchmarkItem:
        """One item from the records of one row: one per filter."""
        first = samples[0]
        scores = dict(self.item_scores(first))
        for other in samples[1:]:
            scores |= {f"{metric},{other['filter']}": value for metric, value in self.item_scores(other).items()}
        return BenchmarkItem(
            first["doc_hash"], str(first["arguments"][0][0]), self.response(first), scores, self.item_weights(first)
        )

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """The metrics of one of lm-eval's sample records, each in [0, 1]."""
        bare = [metric for metric in self.metrics if "," not in metric]
        return {metric: float(sample[metric]) for metric in bare}

    def item_weights(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """What the item counts for, by metric, where that is not 1."""
        return {}

    def response(self, sample: Mapping[str, Any]) -> str:
        """What the model answered in this record."""
        return str(sample["resps"][0][0])

    def choice_of(self, response: str) -> int | None:
        """Which choice a written response names, from 0; None where it names none, or two.

        Raises:
            UsageError: The benchmark compares likelihoods and reads no responses, as by default.
        """
        raise UsageError(
            f"benchmark {self.label!r} compares likelihoods, which stored responses do not have: name a model"
        )

    def check_row(self, row: Mapping[str, Any]) -> str:
        """What is wrong with a row beyond its columns, as a clause; empty where nothing is. The model is not asked."""
        return ""

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        """What a reader must know about these means of the metrics, e.g. that the model looks at positions only."""
        return []

    def prepare(self, cache_dir: Path) -> None:
        """Puts in place what scoring needs beside the data, in ``cache_dir`` or in the environment."""


class BenchmarkGroup(BaseBenchmark):
    """Several benchmarks under one name, with a mean over them.

    Attributes:
        pooled: Whether an experiment gives one verdict on all items together (BBH's 27 tasks), and not one a member.
        average: What the group's score is the mean over: its items, or its members, each counting alike.
    """

    pooled: ClassVar[bool] = False
    average: ClassVar[Literal["items", "members"]] = "items"

    @abstractmethod
    def members(self) -> Sequence[BaseBenchmark]:
        """The benchmarks and groups that it consists of."""
