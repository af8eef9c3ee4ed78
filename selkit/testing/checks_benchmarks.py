"""Checks of benchmarks and groups of benchmarks. A function answers in place of a model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, BenchmarkItem, DataError
from selkit.api.tasks import FUNCTION
from selkit.evals import item_table, members
from selkit.evals.data import read_rows
from selkit.evals.summary import primary_of, summaries
from selkit.testing.benchmark_subjects import BenchmarkSubject
from selkit.testing.checks_common import DECLARATIONS, MANNERS, always, where_it_runs
from selkit.testing.comparisons import GARBAGE, INJECTIONS
from selkit.testing.guards import kept_state
from selkit.testing.results import Check, check, expect

AWKWARD = (
    *GARBAGE,
    *INJECTIONS,
    "北京是首都。",
    "👩‍👩‍👧‍👦 e\u0301\u2028",
    "a\x00b\x07\x1b[31m\r\nc",
    "{question} %s {0} $x",
)
"""Answers that break careless scoring."""


def is_a_group(subject: BenchmarkSubject) -> str:
    """For checks of groups."""
    return "" if isinstance(subject.component, BenchmarkGroup) else "it is not a group"


def right_is_known(subject: BenchmarkSubject) -> str:
    """For checks that need the right answers."""
    unknown = "no right answers are given: a function `right` from a row to its answer, or --right TEMPLATE"
    return where_it_runs(subject) or ("" if subject.right else unknown)


@check(is_a_group)
def group_is_sound(subject: BenchmarkSubject) -> None:
    """A group has members, each under a label of its own; those of a pooled group share their primary metric."""
    group = subject.component
    assert isinstance(group, BenchmarkGroup)
    found = members(group)
    expect(bool(found), "members() returns none")
    strange = [type(member).__name__ for member in found if not isinstance(member, BaseBenchmark)]
    expect(not strange, f"members() returns what is no benchmark: {', '.join(strange)}")
    labels = [leaf.label for leaf in subject.leaves]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    expect(not twice, f"two members have the label {', '.join(twice)}: results go by it")
    expect(group.average in ("items", "members"), f"average is {group.average!r}, not 'items' or 'members'")
    primaries = {leaf.primary for leaf in subject.leaves}
    expect(not group.pooled or len(primaries) == 1, f"it pools items scored by {', '.join(sorted(primaries))}")


@check(always)
def names_its_metrics(subject: BenchmarkSubject) -> None:
    """Every metric is declared with its direction, and the primary one is among them."""
    for leaf in subject.leaves:
        expect(bool(leaf.metrics), f"{leaf.label} declares no metric")
        vague = [name for name, up in leaf.metrics.items() if up not in (True, False, None)]
        expect(not vague, f"{leaf.label} does not say (True, False, None) whether high is good: {', '.join(vague)}")
        known = ", ".join(leaf.metrics)
        expect(leaf.primary in leaf.metrics, f"{leaf.label} has the primary metric {leaf.primary!r}, not of {known}")
        directed = leaf.metrics[leaf.primary] is not None
        expect(directed, f"{leaf.label} has the primary metric {leaf.primary!r}, of which neither end is good")


@check(always)
def names_its_data(subject: BenchmarkSubject) -> None:
    """It says how many rows there are, where they come from, in which files they lie and what columns they have."""
    for leaf in subject.leaves:
        numbers = {"size": leaf.size, "records_per_row": leaf.records_per_row}
        numbers |= {} if leaf.sample is None else {"sample": leaf.sample}
        for name, number in numbers.items():
            expect(_counts(number), f"{leaf.label} has the {name} {number!r}, which is no number of rows")
        expect(bool(leaf.hub_data.strip()), f"{leaf.label} does not say where its data is published: hub_data")
        expect(bool(leaf.splits), f"{leaf.label} names no file of rows: splits")
        paths = {name: PurePosixPath(name) for name in leaf.splits.values()}
        loose = [name for name, path in paths.items() if path.is_absolute() or ".." in path.parts]
        expect(not loose, f"{leaf.label} looks for its rows outside the folder of data: {', '.join(loose)}")
        expect(bool(leaf.columns), f"{leaf.label} declares no column: a wrong file would fail only under the model")


@check(where_it_runs)
def task_is_sound(subject: BenchmarkSubject) -> None:
    """The task has a name, goes through YAML, is the same every time, and its functions are there."""
    for leaf in subject.leaves:
        config = leaf.task_config()
        expect(isinstance(config.get("task"), str), f"{leaf.label}: the configuration has no text 'task'")
        expect(_plain(config) == _plain(leaf.task_config()), f"{leaf.label}: two calls give two configurations")
        for name in _functions(config):
            module, _, function = name.rpartition(".")
            found = getattr(import_module(module), function, None) if module else None
            expect(callable(found), f"{leaf.label}: there is no function {name}")


@check(where_it_runs)
def loads_local_rows(subject: BenchmarkSubject) -> None:
    """The local rows are there, have the declared columns, and pass the benchmark's own look at each."""
    for leaf in subject.leaves:
        try:
            files = subject.files(leaf)
        except DataError as error:
            expect(False, str(error))
        for number, row in enumerate(read_rows(next(iter(files.values()))), 1):
            said = leaf.check_row(row)
            expect(isinstance(said, str), f"{leaf.label}: check_row returned {said!r:.40}, not a text")
            expect(not said, f"{leaf.label}: row {number} is refused: {said}")


@check(where_it_runs)
def declared_size(subject: BenchmarkSubject) -> None:
    """There are as many rows as declared, or fewer where the data is a sample of the published rows."""
    for leaf in subject.leaves:
        rows = len(read_rows(subject.files(leaf)[next(iter(leaf.splits))]))
        expect(rows <= leaf.size, f"{leaf.label} declares {leaf.size} rows and there are {rows}")
        expect(rows == leaf.size or not subject.whole, f"{leaf.label} declares {leaf.size} rows and there are {rows}")


@check(where_it_runs)
def one_item_per_row(subject: BenchmarkSubject) -> None:
    """Every row becomes one item, with an id of its own."""
    for leaf in subject.leaves:
        rows = read_rows(subject.files(leaf)[next(iter(leaf.splits))])
        items = subject.items(leaf)
        expect(len(items) == len(rows), f"{leaf.label}: {len(rows)} rows became {len(items)} items")
        different = len({json.dumps(row, sort_keys=True) for row in rows})
        ids = {item.item for item in items}
        expect(len(ids) >= different, f"{leaf.label}: {different} different rows have {len(ids)} different ids")


@check(where_it_runs)
def scores_in_range(subject: BenchmarkSubject) -> None:
    """Every item has every declared metric, in [0, 1], and weights are above 0."""
    for leaf in subject.leaves:
        for item in subject.items(leaf):
            _expect_scores(leaf, item)


@check(where_it_runs)
def awkward_answers(subject: BenchmarkSubject) -> None:
    """Empty, blank, very long and non-Latin answers, control characters and fake verdicts are scored like others."""
    for leaf in subject.leaves:
        asked = 0

        def answer(row: Mapping[str, Any], prompt: str) -> str:
            nonlocal asked
            asked += 1
            return AWKWARD[asked % len(AWKWARD)]

        for _ in range(2):
            for item in subject.items(leaf, answer):
                _expect_scores(leaf, item)


@check(where_it_runs)
def deterministic(subject: BenchmarkSubject) -> None:
    """The same answers get the same items, whatever the process has drawn before."""
    for leaf in subject.leaves:
        with kept_state():
            first = subject.items(leaf)
            random.seed(99)
            np.random.seed(99)
            second = subject.items(leaf)
        expect(len(first) == len(second), f"{leaf.label}: the number of items changes from run to run")
        changed = [a.item for a, b in zip(first, second, strict=True) if a != b]
        expect(not changed, f"{leaf.label}: {len(changed)} items are scored otherwise the second time")


@check(right_is_known)
def right_answers_win(subject: BenchmarkSubject) -> None:
    """Right answers beat others on the primary metric, and no metric declares the wrong direction."""
    right = subject.right
    assert right is not None
    for leaf in subject.leaves:
        best = _means(leaf, subject.items(leaf, lambda row, prompt: right(row)))
        other = _means(leaf, subject.items(leaf, lambda row, prompt: "banana"))
        for name, up in ((name, up) for name, up in leaf.metrics.items() if up is not None):
            lead = (best[name] - other[name]) * (1 if up else -1)
            told = f"{best[name]:.3g} for right answers and {other[name]:.3g} for wrong ones"
            expect(lead >= 0, f"{leaf.label} declares {name} as {'high' if up else 'low'} is good, and it is {told}")
            expect(lead > 0 or name != leaf.primary, f"{leaf.label}: {name} is {told}")


@check(where_it_runs)
def remarks_are_sentences(subject: BenchmarkSubject) -> None:
    """What a reader must know of its means is a list of texts, also of means at the ends of the scale."""
    for leaf in subject.leaves:
        for value in (0.0, 0.5, 1.0):
            said = leaf.remarks(dict.fromkeys(leaf.metrics, value))
            sound = isinstance(said, list) and all(isinstance(text, str) and text.strip() for text in said)
            expect(sound, f"{leaf.label}: remarks of means of {value:g} are {said!r:.80}")


@check(where_it_runs)
def adds_up(subject: BenchmarkSubject) -> None:
    """The host's table takes its items, and means come out with their errors, for groups too."""
    items = {leaf.label: item_table(leaf, subject.items(leaf)) for leaf in subject.leaves}
    found = summaries(subject.component, items)[subject.component.label]
    primary = primary_of(subject.component)
    expect(primary in found, f"its summary has no {primary}: it has {', '.join(found)}")
    expect(math.isfinite(found[primary].value), f"the mean of {primary} is {found[primary].value}")


BENCHMARK_CHECKS: tuple[Check[Any], ...] = (
    *DECLARATIONS,
    group_is_sound,
    names_its_metrics,
    names_its_data,
    task_is_sound,
    loads_local_rows,
    declared_size,
    one_item_per_row,
    scores_in_range,
    awkward_answers,
    deterministic,
    right_answers_win,
    remarks_are_sentences,
    adds_up,
    *MANNERS,
)
"""Every check of a benchmark or a group."""


def minimum_for_benchmark(component: BaseBenchmark) -> int:
    """How many checks must run for a benchmark."""
    return 18


def _counts(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _plain(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True, default=str)


def _functions(value: Any) -> Iterator[str]:
    """The names of all functions that a configuration refers to."""
    if isinstance(value, str) and value.startswith(f"{FUNCTION} "):
        yield value.partition(" ")[2]
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _functions(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _functions(part)


def _expect_scores(leaf: Benchmark, item: BenchmarkItem) -> None:
    missing = [metric for metric in leaf.metrics if metric not in item.scores]
    expect(not missing, f"{leaf.label}: an item has no {', '.join(missing)}")
    for metric in leaf.metrics:
        score = item.scores[metric]
        expect(0 <= score <= 1, f"{leaf.label}: {metric} of an item is {score}, not in [0, 1]")
    heavy = [metric for metric, weight in item.weights.items() if not weight > 0]
    expect(not heavy, f"{leaf.label}: an item weighs nothing in {', '.join(heavy)}")


def _means(leaf: Benchmark, items: list[BenchmarkItem]) -> dict[str, float]:
    return {metric: sum(item.scores[metric] for item in items) / max(1, len(items)) for metric in leaf.metrics}
