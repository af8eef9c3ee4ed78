"""Runs a selector on a pool: checks first, then the scoring pass or the draw, then checks of what came back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from selkit.api import (
    BaseSelector,
    Budget,
    Component,
    Context,
    ContractViolation,
    DataError,
    Embeddings,
    Pool,
    Pooling,
    Sampler,
    Scorer,
    Selection,
    Selector,
    UsageError,
)
from selkit.models import HostContext, check_model, resolve
from selkit.plugins import check_requirements, provenance
from selkit.pools import load_pool
from selkit.select.embedding import stored_embeddings
from selkit.select.output import read_selection
from selkit.select.ranking import rank, ties_at_cut
from selkit.select.result import Arms, SelectionResult
from selkit.select.scoring import Scores, scoring_pass
from selkit.store import Key, Store, digest_file, digest_text


def select(
    pool: Pool | str | Path,
    selector: BaseSelector,
    budget: Budget | int | str | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    base_model: str | None = None,
    arms: Arms | None = None,
    train: Callable[..., str] | None = None,
    chat: Callable[[str], Any] | None = None,
) -> SelectionResult:
    """Chooses rows of a pool.

    Args:
        pool: A pool, or anything that :func:`selkit.pools.load_pool` reads.
        selector: A component, e.g. from :func:`selkit.plugins.build`.
        budget: Number of rows, or a share such as '5%'. None for a selector that has a size of its own.
        seed: The selection seed.
        store: Where scores are kept, by default the user's store.
        base_model: Reference of the model that fills the selector's model parameters where they are None.
        arms: The other arms, where the selector compares itself with them.
        train: Serves :meth:`Context.train`.
        chat: Serves :meth:`Context.chat`.

    Raises:
        SelkitError: Anything a person can mend, before any model loads where it can be known before.
    """
    store = store or Store()
    pool = pool if isinstance(pool, Pool) else load_pool(pool, store=store)
    selector = fill_models(selector, base_model)
    run = _Run(pool, selector, seed, store, base_model, arms or Arms(), train, chat)
    with tempfile.TemporaryDirectory(prefix="selkit-") as scratch:
        rows = preflight(pool, selector, budget, run.context(Path(scratch)))
        return run.select(rows, None if budget is None else Budget.parse(budget), Path(scratch))


def fill_models(component: BaseSelector, base_model: str | None) -> BaseSelector:
    """A copy whose unset model parameters, also those of nested components, name the base model."""
    changes: dict[str, Any] = {}
    for name, value in vars(component).items():
        if isinstance(value, BaseSelector):
            changes[name] = fill_models(value, base_model)
        elif value is None and name in component.model_parameters() and base_model is not None:
            changes[name] = base_model
    return replace(component, **changes) if changes else component  # type: ignore[type-var]


def preflight(pool: Pool, selector: BaseSelector, budget: Budget | int | str | None, ctx: HostContext) -> int | None:
    """Everything that can be refused before work starts; the number of rows the budget takes, None without one."""
    if selector.sized and budget is None:
        raise UsageError(f"{selector.name} needs a budget: a number of rows such as 1000, or a share such as 5%")
    if not selector.sized and budget is not None:
        raise UsageError(f"{selector.name} has a size of its own: leave the budget out")
    rows = None if budget is None else Budget.parse(budget).rows(len(pool), f"pool {pool.name!r}")
    for component in _nested(selector):
        check_requirements(component)
        component.preflight(pool, ctx)
        for name in component.model_parameters():
            if (ref := getattr(component, name)) is not None:
                check_model(ref)
    return rows


def score_key(scorer: Scorer, pool: Pool) -> Key:
    """The key of a scorer's stored scores: component, parameters, pool, versions, models, and the threads on a CPU."""
    inputs = {"pool": pool.fingerprint, **component_inputs(scorer)}
    conditions = {"threads": _threads()} if scorer.model_parameters() else {}
    return Key("scores", scorer.name, scorer.parameters(), provenance(scorer), inputs, conditions)


def component_inputs(component: Component) -> dict[str, str]:
    """Digests of the models and files that a component's parameters name, also of nested components."""
    inputs: dict[str, str] = {}
    for name, value in vars(component).items():
        if isinstance(value, Component):
            inputs |= {f"{name}.{k}": v for k, v in component_inputs(value).items()}
        elif name in component.model_parameters() and value is not None:
            inputs[name] = resolve(value).digest
        elif isinstance(value, Path) and value.is_file():
            inputs[name] = digest_file(value)
    return inputs


@dataclass
class _Run:
    pool: Pool
    selector: BaseSelector
    seed: int
    store: Store
    base_model: str | None
    arms: Arms
    train: Callable[..., str] | None
    chat: Callable[[str], Any] | None
    spent: list[str] = field(default_factory=list)
    used: dict[str, list[str]] = field(default_factory=dict)

    def select(self, rows: int | None, budget: Budget | None, scratch: Path) -> SelectionResult:
        selector = self.selector
        facts: dict[str, Any] = {"pool_rows": len(self.pool)}
        ctx = self.context(scratch)
        if isinstance(selector, Scorer):
            selection, more = self._cut(selector, rows or 0)
            facts |= more
        elif isinstance(selector, Sampler):
            selection = Selection(tuple(selector.sample(self.pool, rows or 0, ctx)) if rows else ())
        elif isinstance(selector, Selector):
            count = len(self.pool) if rows is None else rows
            selection = selector.select(self.pool, Budget(count=count), ctx) if count else Selection(())
        else:
            raise ContractViolation(f"{selector.name} is neither a Scorer, a Sampler nor a Selector")
        selection = _checked(selector, selection, self.pool, rows)
        facts |= {"budget": rows, "selected": len(selection), "shortfall": selection.shortfall, **selection.notes}
        facts["notes"] = list(ctx.notes)
        return SelectionResult(
            self.pool, selector, budget, self.seed, selection, self._key(rows), facts, tuple(self.spent)
        )

    def context(self, cache_dir: Path) -> HostContext:
        return HostContext(
            seed=self.seed,
            cache_dir=cache_dir,
            base_model=self.base_model,
            pool=self.pool,
            scores_service=self._scores,
            row_scores_service=lambda scorer: self._scored(scorer)[0].rows(),
            embeddings_service=self._embeddings,
            selection_service=self._selection,
            selections_service=lambda: self._note_used(self.arms.chosen),
            train_service=self.train,
            chat_service=self.chat,
        )

    def _cut(self, scorer: Scorer, rows: int) -> tuple[Selection, dict[str, Any]]:
        scores, digest = self._scored(scorer)
        ids, values = scores.arrays()
        tie_seed = self.seed if scorer.tie_break() == "random" else None
        order = rank(ids, values, higher_is_better=scorer.higher_is_better, tie_seed=tie_seed)
        best = order[:rows]
        facts = scores.counts() | {"scores": digest, "ties_at_cut": ties_at_cut(values[order].tolist(), rows)}
        shortfall = None
        if len(best) < rows:
            shortfall = f"{len(self.pool) - len(ids)} of {len(self.pool)} rows have no score under {scorer.name}"
        chosen = ids.take(best).to_pylist()
        return Selection(tuple(chosen), dict(zip(chosen, values[best].tolist(), strict=True)), {}, shortfall), facts

    def _scores(self, scorer: Scorer) -> dict[str, float]:
        return self._scored(scorer)[0].as_dict()

    def _scored(self, scorer: Scorer) -> tuple[Scores, str]:
        key = score_key(scorer, self.pool)
        scores, _ = scoring_pass(scorer, self.pool, key, self.store, self.context)
        self.spent.append(key.digest)
        return scores, key.digest

    def _embeddings(
        self, ctx: Context, texts: Mapping[str, str], ref: str, pooling: Pooling, max_length: int | None
    ) -> Embeddings:
        found, artifact = stored_embeddings(
            texts, ref, pooling=pooling, max_length=max_length, ctx=ctx, store=self.store
        )
        if artifact is not None and artifact.digest not in self.spent:
            self.spent.append(artifact.digest)
        return found

    def _selection(self, ref: str) -> Sequence[str]:
        ids = self.arms.named[ref] if ref in self.arms.named else read_selection(Path(ref))
        return self._note_used({ref: ids})[ref]

    def _note_used(self, selections: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        self.used |= {name: sorted(ids) for name, ids in selections.items()}
        return selections

    def _key(self, rows: int | None) -> Key:
        inputs = {"pool": self.pool.fingerprint, **component_inputs(self.selector)}
        inputs |= {f"selection:{name}": digest_text("\n".join(ids)) for name, ids in sorted(self.used.items())}
        conditions = {"rows": rows, "seed": self.seed if self.selector.seeded else None}
        selector = self.selector
        return Key("selection", selector.name, selector.parameters(), provenance(selector), inputs, conditions)


def _nested(component: BaseSelector) -> Iterable[BaseSelector]:
    yield component
    for value in vars(component).values():
        if isinstance(value, BaseSelector):
            yield from _nested(value)


def _checked(selector: BaseSelector, selection: Selection, pool: Pool, rows: int | None) -> Selection:
    ids = tuple(str(i) for i in selection.ids)
    known = set(pool.ids)
    unknown = [i for i in ids if i not in known]
    if unknown:
        raise ContractViolation(
            f"{selector.name} chose {len(unknown)} ids that are not in the pool, e.g. {unknown[0]!r}"
        )
    if len(set(ids)) < len(ids):
        raise ContractViolation(f"{selector.name} chose {len(ids) - len(set(ids))} rows more than once")
    if any(np.isnan(score) for score in selection.scores.values()):
        raise ContractViolation(f"{selector.name} gave a chosen row the score NaN")
    short = rows is not None and len(ids) < rows and selection.shortfall is None
    if rows is not None and (len(ids) > rows or short):
        raise ContractViolation(f"{selector.name} chose {len(ids)} rows where the budget is {rows}")
    if rows is not None and not ids and rows:
        raise DataError(f"{selector.name} chose no row at all: {selection.shortfall}")
    return replace(selection, ids=ids)


def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
