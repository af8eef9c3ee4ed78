"""The experiment spec: strict, with defaults that make a small file enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from selkit.api import Budget
from selkit.experiment.spec.entries import (
    BASE,
    NAME,
    BenchmarkSpec,
    CompareSpec,
    ModelSpec,
    PoolSpec,
    SearchSpec,
    Seeds,
    SelectorSpec,
    Strict,
    TestsetSpec,
)

Recipe: TypeAlias = str | dict[str, Any]
"""A recipe's name, or its values."""

Device: TypeAlias = Literal["cpu", "cuda"]
"""The kind of device that cells compute on."""


class Spec(Strict):
    """A whole experiment.

    Every selector is tried on every pool, budget and base model under every recipe: ``model`` and ``recipe`` name one
    of each, ``models`` and ``recipes`` several. ``seeds`` pins the seed of all selections or of all trainings, which
    are the run's number otherwise. ``search`` finds the recipe that is best for every arm, by validation rows.

    ``compare`` sets any two arms against each other, the second as control, wherever they stand.

    ``runs`` gives repetitions per arm: by arm name, with ``random`` and ``default`` for the rest. ``margins`` are in
    points of 100, per benchmark or test set or for the 'composite', in which these count by their ``weights``; ``keep``
    says what becomes of trained weights, and ``engine`` what runs them when they answer; ``max_cost`` is what calls of
    endpoints may cost in all, in dollars; ``processes`` train each model together, spread as ``deepspeed`` says.
    ``device`` is what cells train and answer on, by default a GPU where there is one for them.
    """

    name: str = Field(pattern=NAME)
    pools: tuple[PoolSpec, ...] = Field(min_length=1)
    model: str | None = None
    models: tuple[ModelSpec, ...] = ()
    recipe: Recipe | None = None
    recipes: tuple[Recipe, ...] = ()
    selectors: tuple[SelectorSpec, ...] = Field(min_length=1)
    budgets: tuple[int | str, ...] = Field(min_length=1)
    runs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    testsets: tuple[TestsetSpec, ...] = ()
    benchmarks: tuple[BenchmarkSpec, ...] = ()
    seeds: Seeds = Seeds()
    search: SearchSpec | None = None
    control: str = "random"
    compare: tuple[CompareSpec, ...] = ()
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margins: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    keep: Literal["none", "adapters", "all"] = "none"
    engine: Literal["hf", "vllm"] = "hf"
    max_failed: float = Field(default=0.02, ge=0, le=1)
    max_cost: float | None = Field(default=None, ge=0)
    workers: int | None = Field(default=None, ge=1)
    processes: int = Field(default=1, ge=1)
    deepspeed: str | None = None
    threads: int | None = Field(default=None, ge=1)
    device: Device | None = None
    note: str = ""

    @field_validator("recipe", "recipes", mode="before")
    @classmethod
    def _recipe(cls, value: Any) -> Any:
        if "best_on_test" in listed(value):
            raise ValueError(
                "picking each arm's recipe by its test score finds differences where there are none: name one recipe "
                "for all arms"
            )
        return value

    @field_validator("recipes", mode="before")
    @classmethod
    def _recipes(cls, value: Any) -> Any:
        return listed(value)

    @field_validator("models", mode="before")
    @classmethod
    def _models(cls, value: Any) -> Any:
        return named(value, "model")

    @model_validator(mode="after")
    def _one_spelling(self) -> Spec:
        for one, several in (("model", "models"), ("recipe", "recipes")):
            if bool(getattr(self, one)) == bool(getattr(self, several)):
                problem = "are both given" if getattr(self, one) else "are both missing"
                raise ValueError(f"{one} and {several} {problem}: give {one} for one, {several} for a list")
        labels = [model.label for model in self.model_specs]
        if double := [label for label in labels if labels.count(label) > 1]:
            raise ValueError(f"two models are called {double[0]!r}: give each a name of its own with 'as'")
        if self.search is not None and len(self.recipe_specs) < 2:
            raise ValueError("search: there is one recipe, so nothing to choose from: give several under recipes")
        return self

    @field_validator("search", mode="before")
    @classmethod
    def _search(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @property
    def model_specs(self) -> tuple[ModelSpec, ...]:
        """The base models, in their order."""
        return self.models or (ModelSpec(model=self.model or ""),)

    @property
    def recipe_specs(self) -> tuple[Recipe, ...]:
        """The recipes as they are given, in their order."""
        return self.recipes if self.recipe is None else (self.recipe,)

    @field_validator("pools", mode="before")
    @classmethod
    def _pools(cls, value: Any) -> Any:
        return [{"source": item} if isinstance(item, str) else item for item in listed(value)]

    @field_validator("selectors", mode="before")
    @classmethod
    def _selectors(cls, value: Any) -> Any:
        arms = [{"name": item} if isinstance(item, str) else item for item in listed(value)]
        return [{"model": BASE} if arm == {"name": BASE} else arm for arm in arms]

    @field_validator("testsets", mode="before")
    @classmethod
    def _testsets(cls, value: Any) -> Any:
        return named(value, "source")

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _benchmarks(cls, value: Any) -> Any:
        return named(value, "name")

    @field_validator("budgets", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        budgets = listed(value)
        for budget in budgets:
            if not Budget.parse(budget).rows(1_000_000, "a pool"):
                raise ValueError(f"a budget of {budget} leaves nothing to train on: give a number of rows from 1 on")
        return budgets

    @field_validator("selectors")
    @classmethod
    def _distinct(cls, value: tuple[SelectorSpec, ...]) -> tuple[SelectorSpec, ...]:
        arms = [selector.arm for selector in value]
        double = {arm for arm in arms if arms.count(arm) > 1}
        if double:
            raise ValueError(f"two arms are called {sorted(double)[0]!r}: give each a name of its own with 'as'")
        return value

    @model_validator(mode="after")
    def _outputs(self) -> Spec:
        stored = [selector.arm for selector in self.given if selector.outputs is not None]
        if stored and self.benchmarks:
            raise ValueError(
                f"arm {stored[0]!r} is a file of outputs, which answer no benchmark ({self.benchmarks[0].name}): give "
                "its model, or leave the benchmarks to an experiment of their own"
            )
        return self

    @property
    def given(self) -> tuple[SelectorSpec, ...]:
        """The arms that choose and train nothing."""
        return tuple(selector for selector in self.selectors if selector.is_given)

    def runs_of(self, arm: str) -> int:
        """Repetitions of an arm: its own entry, else max(5, ceil(3 sqrt(m))) for the control and 3 for the others."""
        if arm in self.runs:
            return self.runs[arm]
        if arm == self.control:
            others = sum(1 for selector in self.selectors if selector.arm != self.control)
            return max(5, math.ceil(3 * math.sqrt(others)))
        return self.runs.get("default", 3)


def listed(value: Any) -> list[Any]:
    """A single value as a list of one."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def named(value: Any, key: str) -> Any:
    """``{coachlm: {...}}`` and ``[coachlm, {source: ...}]`` mean the same."""
    if isinstance(value, Mapping):
        for name, options in value.items():
            if not isinstance(options, Mapping | None):
                raise ValueError(f"what belongs to {name!r} is a mapping of its keys, and not {options!r}")
        return [{key: name, **(options or {})} for name, options in value.items()]
    return [{key: item} if isinstance(item, str) else item for item in listed(value)]
