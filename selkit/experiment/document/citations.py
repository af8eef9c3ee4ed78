"""The works behind the components of an experiment, as their authors name them."""

from __future__ import annotations

from collections.abc import Iterator

from selkit.api import Component
from selkit.experiment.setup.experiment import Experiment
from selkit.plugins.parameters import nested_components


def citations_of(experiment: Experiment) -> list[dict[str, str]]:
    """``of``, the arm, judge or benchmark, and ``bibtex``, of everything that names a work; each once."""
    found = (
        {"of": of, "bibtex": text}
        for of, component in _components(experiment)
        if (text := type(component).citation.strip())
    )
    return list({(row["of"], row["bibtex"]): row for row in found}.values())


def _components(experiment: Experiment) -> Iterator[tuple[str, Component]]:
    for arm in experiment.arms:
        yield from ((f"arm {arm.name}", part) for part in _with_parts(arm.selector))
    for testset in experiment.testsets:
        for one in testset.judges:
            yield from ((f"judge of {one.endpoint}", part) for part in _with_parts(one.judge))
    for endpoint in experiment.benchmarks:
        yield from ((f"benchmark {endpoint.name}", job.benchmark) for job in endpoint.jobs)


def _with_parts(component: Component) -> Iterator[Component]:
    yield component
    for part in nested_components(component):
        yield from _with_parts(part)
