"""A benchmark under test, with the rows it is tried on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkItem, MissingExtra
from selkit.evals import BenchmarkJob, benchmark_items, find_data, leaves
from selkit.plugins import check_requirements, missing_requirements
from selkit.testing.answering import Answerer, answering_lm, by_digest
from selkit.testing.subjects import Subject

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by the name of their file, as in :attr:`selkit.api.Benchmark.splits`."""

RightAnswer = Callable[[Mapping[str, Any]], str]
"""From a row to the answer that earns full marks."""


@dataclass
class BenchmarkSubject(Subject):
    """A benchmark or a group under test.

    Args:
        component: The benchmark.
        folder: An empty folder.
        data: The folder that holds its rows, or the rows themselves by the name of their file; by default they are
            looked for among the shared data, as in ``selkit eval``.
        right: The answer to a row that earns full marks, where there is one.
        whole: Whether the rows are all of the published ones, and not a sample.
    """

    component: BaseBenchmark
    data: Path | Rows | None = None
    right: RightAnswer | None = None
    whole: bool = False

    @property
    def kind(self) -> str:
        """'benchmark'."""
        return "benchmark"

    @property
    def leaves(self) -> list[Benchmark]:
        """The benchmark itself, or those of the group."""
        return leaves(self.component)

    def run(self) -> None:
        """Scores every row once."""
        for leaf in self.leaves:
            self.items(leaf)

    def ways(self) -> list[str]:
        """Parameters, and the rows."""
        return [*self._parameters(), "its rows as data (--data DIR)"]

    def try_out(self) -> None:
        """Makes sure that what the members need and lm-eval are installed, and scores every row once."""
        for leaf in self.leaves:
            check_requirements(leaf)
        if self._missing():
            raise MissingExtra.of(f"checking benchmark '{self.component.name}'", "eval")
        super().try_out()

    def libraries(self) -> tuple[str, ...]:
        """What the benchmark needs, and lm-eval, which every one needs."""
        needed = (name for leaf in self.leaves for name in leaf.requires)
        return tuple(dict.fromkeys(["lm_eval", "datasets", *self.component.requires, *needed]))

    def cannot_run(self) -> str:
        """Why nothing can be scored on this machine or on these rows; empty where it can."""
        missing = self._missing()
        return f"it needs {' and '.join(missing)}, not installed here" if missing else str(self.refusal or "")

    def _missing(self) -> list[str]:
        missing = missing_requirements(type(self.component))
        return missing + [name for name in self.libraries() if name not in missing and find_spec(name) is None]

    def files(self, leaf: Benchmark) -> dict[str, Path]:
        """The checked file of each split. Raises DataError where one is missing or holds other rows."""
        return find_data(leaf, self._folder_of_rows())

    def items(self, leaf: Benchmark, answer: Answerer = by_digest) -> list[BenchmarkItem]:
        """The scored items of one benchmark whose questions a function answers."""
        return benchmark_items(BenchmarkJob(leaf, self.files(leaf)), answering_lm(answer))

    def _folder_of_rows(self) -> Path | None:
        if self.data is None or isinstance(self.data, (str, Path)):
            return None if self.data is None else Path(self.data)
        folder = self.folder / "data"
        for name, rows in self.data.items():
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return folder
