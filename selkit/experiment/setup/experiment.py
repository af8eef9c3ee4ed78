"""From a spec to something that can run: every check that can be made before a model loads is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import get_origin

import numpy as np

from selkit.api import BaseSelector, Pool, UsageError
from selkit.evals import Endpoint, endpoints
from selkit.experiment.cells.job import HeldOut
from selkit.experiment.contamination.shared import ItemSource, sources_of
from selkit.experiment.contamination.validation import Split, split_pool, stored_rows
from selkit.experiment.setup.arms import check_arm_names, check_arms, check_complements, claims
from selkit.experiment.setup.budgets import alike_budgets
from selkit.experiment.setup.given import Given, given_arms
from selkit.experiment.setup.grid import Arm, Cell, cells_of
from selkit.experiment.setup.turns import arms_in_turn
from selkit.experiment.spec.entries import BenchmarkSpec, PoolSpec, SelectorSpec
from selkit.experiment.spec.spec import Spec
from selkit.experiment.spec.wording import in_a_spec
from selkit.experiment.testsets.sets import JudgedSet, check_judge, judged_set, validation_set
from selkit.models import HostContext, check_model, device_here, device_of, has_gpu, prompt_template
from selkit.models.client import ChatService
from selkit.models.load import check_vllm
from selkit.plugins import build, find, parameters_of
from selkit.pools import load_pool
from selkit.select import fill_models, select
from selkit.store import Store
from selkit.train import Recipe, check_training, load_recipe, refuse_launcher


@dataclass(frozen=True)
class Experiment:
    """A spec whose parts have been loaded and checked.

    ``models`` are the references of the base models and ``recipes`` the recipes by their names; ``sizes`` the rows of
    given subsets by pool, arm and model. ``splits`` are the pools with their validation rows, where recipes are
    searched; ``pools`` are then what is left. ``held`` are the files of these rows where recipes are searched by their
    loss, and ``validation`` the prompts that they make where answers to them are judged. ``device`` is the kind of
    device that cells compute on.
    """

    spec: Spec
    store: Store
    pools: Mapping[str, Pool]
    arms: tuple[Arm, ...]
    models: Mapping[str, str]
    recipes: Mapping[str, Recipe]
    testsets: tuple[JudgedSet, ...]
    benchmarks: tuple[Endpoint, ...]
    sizes: Mapping[tuple[str, str, str], int]
    chat: ChatService
    notes: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    held: Mapping[str, HeldOut] = field(default_factory=dict)
    validation: Mapping[str, JudgedSet] = field(default_factory=dict)
    given: tuple[Given, ...] = ()
    device: str = field(default_factory=device_here)

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell, see :func:`selkit.experiment.setup.grid.cells_of`."""
        return cells_of(self.spec, self.arms, list(self.recipes), self.sizes)

    @property
    def base_model(self) -> str:
        """Reference of the first base model, for what is asked once for all: judges and their checks."""
        return next(iter(self.models.values()))

    def arm(self, name: str) -> Arm:
        """The arm of this name; the anchor is a run of random that belongs to no arm."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        return Arm(name, build("selector", "random", {}), 1)

    def arm_of(self, cell: Cell) -> Arm:
        """The cell's arm; model parameters that were left open name its base model."""
        key = cell.arm, cell.model
        if key not in self._filled:
            arm = self.arm(cell.arm)
            self._filled[key] = replace(arm, selector=fill_models(arm.selector, self.models[cell.model]))
        return self._filled[key]

    @cached_property
    def _filled(self) -> dict[tuple[str, str], Arm]:
        return {}


def prepare(spec: Spec, store: Store, device: str | None = None) -> Experiment:
    """Loads pools and test sets, builds arms and judges, and checks each against the others.

    Args:
        spec: The experiment.
        store: Where results are kept.
        device: The kind of device that cells compute on; by default the spec's, else this machine's.

    Raises:
        SelkitError: Whatever would stop the experiment later and can be known now.
    """
    refuse_launcher("an experiment")
    device = device or spec.device or device_here()
    models = {model.label: model.model for model in spec.model_specs}
    for ref in models.values():
        check_model(ref)
    if spec.engine == "vllm":
        check_vllm()
    recipes = _recipes(spec)
    pools = {pool.label: _pool(pool, store) for pool in spec.pools}
    arms = tuple(_arm(spec, selector) for entry in spec.selectors if entry.name for selector in one_per_value(entry))
    check_arm_names(spec, arms)
    arms_in_turn(arms, spec.given)
    testsets = tuple(judged_set(testset, next(iter(recipes.values())), store) for testset in spec.testsets)
    benchmarks = tuple(endpoint for benchmark in spec.benchmarks for endpoint in _benchmark(benchmark))
    given = {
        (pool, arm.name, model): select(pools[pool], arm.selector, store=store, base_model=models[model]).ids
        for pool, arm, model in product(pools, filter(_given, arms), models)
    }
    splits = _splits(spec, pools, given, sources_of(testsets, benchmarks), store)
    pools |= {name: split.kept for name, split in splits.items()}
    alike = alike_budgets(spec.budgets, {name: len(pool) for name, pool in pools.items()})
    judged = spec.search if spec.search and spec.search.by == "judged" else None
    validation = {name: validation_set(judged, split.held) for name, split in splits.items()} if judged else {}
    for pool, ref in product(pools.values(), models.values()):
        check_arms(spec, pool, arms, ref, store)
        for recipe in recipes.values():
            prompt_template(recipe.template, ref)
            _check_training(spec, ref, pool, recipe, device)
    sizes = {place: len(ids) for place, ids in given.items()}
    for name, pool in pools.items():
        check_complements(spec, pool, arms, {arm: rows for (place, arm, _), rows in sizes.items() if place == name})
    chat = ChatService(store, spec.max_cost, purse=spec.name)
    for one in (one for testset in (*testsets, *validation.values()) for one in testset.judges):
        first = next(iter(models.values()))
        check_judge(one.judge, HostContext(seed=0, cache_dir=store.root, base_model=first, chat_service=chat))
    held = {} if judged else {name: stored_rows(part, store) for name, part in splits.items()}
    answering = tuple(given_arms(spec, models, next(iter(recipes.values())).template, testsets))
    return Experiment(
        spec,
        store,
        pools,
        arms,
        models,
        recipes,
        testsets,
        benchmarks,
        sizes,
        chat,
        (*claims(spec, arms), *alike),
        splits=splits,
        held=held,
        validation=validation,
        given=answering,
        device=device,
    )


def _splits(
    spec: Spec,
    pools: Mapping[str, Pool],
    given: Mapping[tuple[str, str, str], Sequence[str]],
    tested: Sequence[ItemSource],
    store: Store,
) -> dict[str, Split]:
    """The pools with their validation rows, where recipes are searched; rows of given subsets stay."""
    if spec.search is None:
        return {}
    subsets = {name: {id_ for (pool, *_), ids in given.items() if pool == name for id_ in ids} for name in pools}
    return {name: split_pool(pool, spec.search, subsets[name], tested, store) for name, pool in pools.items()}


def _recipes(spec: Spec) -> dict[str, Recipe]:
    """The recipes by their names. Raises UsageError where two have one name."""
    recipes = [load_recipe(recipe) for recipe in spec.recipe_specs]
    names = [recipe.name for recipe in recipes]
    if double := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two recipes are called {double[0]!r}: give each a name of its own with 'name'")
    return dict(zip(names, recipes, strict=True))


def _pool(spec: PoolSpec, store: Store) -> Pool:
    pool = copy(load_pool(spec.source, store=store))
    pool.name = spec.label  # by which people know it in errors and tables
    if spec.rows is None or spec.rows >= len(pool):
        return pool
    # A part of the pool is drawn once, by a fixed seed over the sorted ids, so that it is the same everywhere.
    kept = np.random.default_rng(0).choice(pool.sorted_ids, size=spec.rows, replace=False)
    return pool.take(sorted(kept.tolist()))


def one_per_value(selector: SelectorSpec) -> list[SelectorSpec]:
    """The selector once per value, where a parameter that takes one value is given a list of them.

    The arms are called ``ARM-VALUE``; two such parameters give every combination.
    """
    known = parameters_of(find("selector", selector.name))
    lists = {
        name: value
        for name, value in selector.parameters.items()
        if isinstance(value, list) and name in known and get_origin(known[name].annotation) not in (tuple, list)
    }
    return [
        selector.model_copy(
            update={
                "as_": "-".join([selector.arm, *(str(value).lower() for value in values)]),
                "parameters": {**selector.parameters, **dict(zip(lists, values, strict=True))},
            }
        )
        if lists
        else selector
        for values in product(*lists.values())
    ]


def _arm(spec: Spec, selector: SelectorSpec) -> Arm:
    with in_a_spec(f"under the parameters of arm {selector.arm!r}"):
        component = build("selector", selector.name, selector.parameters)
    if not isinstance(component, BaseSelector):
        raise UsageError(f"{selector.name!r} is not a selector")
    return Arm(selector.arm, component, spec.runs_of(selector.arm))


def _benchmark(spec: BenchmarkSpec) -> list[Endpoint]:
    component = build("benchmark", spec.name, spec.parameters)
    return endpoints(component, spec.data, sample=spec.sample, max_new_tokens=spec.max_new_tokens)


def _check_training(spec: Spec, model: str, pool: Pool, recipe: Recipe, device: str) -> None:
    check_training(
        model,
        pool,
        recipe,
        device=device_of(device),
        processes=spec.processes,
        deepspeed=spec.deepspeed,
        elsewhere=device == "cuda" and not has_gpu(),
    )


def _given(arm: Arm) -> bool:
    return not arm.selector.sized and not arm.selector.baseline
