"""Benchmarks: prompts with a programmatic score, run through lm-eval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from selkit.api.components import Component


class Benchmark(Component, ABC):
    """A benchmark: an lm-eval task, the data it needs, and what of its results counts.

    Attributes:
        size: Rows of the published data.
        metrics: The metrics that every item has, and whether high is good, by lm-eval's name.
        primary: The metric that verdicts are given on.
        data_name: Path of the data file within a folder of local data.
        hub_data: Name of the data set on the hub, for the error that says what is missing.
        columns: What every row of the data must have, by name, with its type in JSON; checked before any model loads.
    """

    size: ClassVar[int]
    metrics: ClassVar[Mapping[str, bool]]
    primary: ClassVar[str]
    data_name: ClassVar[str]
    hub_data: ClassVar[str]
    columns: ClassVar[Mapping[str, type]] = {}

    @abstractmethod
    def task_config(self, data: Path) -> dict[str, Any]:
        """The lm-eval task as its YAML file would hold it, reading its rows from ``data``.

        A value of the form ``!function module.name`` stands for that function. The key ``task`` names the task.
        """

    @abstractmethod
    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """The metrics of one of lm-eval's sample records, each in [0, 1]."""

    def prepare(self, cache_dir: Path) -> None:
        """Puts in place what scoring needs beside the data, in ``cache_dir`` or in the environment."""
