"""The kinds of components, and what the host expects of each."""

from __future__ import annotations

from dataclasses import dataclass

from selkit.api import BaseBenchmark, BaseSelector, Component, PairwiseJudge, Sampler, Scorer


@dataclass(frozen=True)
class Kind:
    """One kind of component: the hook that registers it and the class it derives from."""

    name: str
    hook: str
    base: type[Component]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("selector", "selkit_selectors", BaseSelector),
        Kind("judge", "selkit_judges", PairwiseJudge),
        Kind("benchmark", "selkit_benchmarks", BaseBenchmark),
    )
}


def kind_of(cls: type[Component]) -> str:
    """The kind that a component class belongs to."""
    if issubclass(cls, BaseSelector):
        return "selector"
    return "judge" if issubclass(cls, PairwiseJudge) else "benchmark"


def noun(cls: type[Component]) -> str:
    """What a person calls a component of this class: 'scorer', 'sampler', 'selector', 'judge', 'benchmark'."""
    nouns = {
        Scorer: "scorer",
        Sampler: "sampler",
        BaseSelector: "selector",
        PairwiseJudge: "judge",
        BaseBenchmark: "benchmark",
    }
    return next((word for base, word in nouns.items() if issubclass(cls, base)), "component")


def guess_kind(distribution: str, entry_point: str) -> str:
    """What a package that did not load probably provides, by the naming custom of selkit's packages."""
    words = f"{distribution}-{entry_point}".lower().replace("_", "-").replace(".", "-").split("-")
    if "judge" in words or "judges" in words:
        return "judge"
    return "benchmark" if {"task", "tasks", "bench", "benchmark", "benchmarks"} & set(words) else "selector"
