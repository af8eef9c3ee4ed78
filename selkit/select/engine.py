"""Runs a selector on a pool: checks first, then the scoring pass or the draw, then checks of what came back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from selkit.api import (
    BaseSelector,
    Budget,
    Context,
    ContractViolation,
    DataError,
    Embeddings,
    Example,
    Pool,
    Pooling,
    Sampler,
    Scorer,
    Selection,
    Selector,
    UsageError,
)
from selkit.models import HostContext, check_model, default_device
from selkit.models.client import ChatService
from selkit.plugins import check_requirements, provenance
from selkit.pools import load_pool
from selkit.select.embedding import stored_embeddings
from selkit.select.keys import choice_conditions, choice_versions, component_inputs, score_key
from selkit.select.output import read_selection
from selkit.select.result import Arms, SelectionResult
from selkit.select.scores import Scores
from selkit.select.scoring import MAX_FAILED, check_share, scoring_pass
from selkit.select.shards import Shards, current_shards
from selkit.select.training import Recipe, Training, check_trainings, nested, service, trainings_from
from selkit.store import Key, Store, digest_text


def select(
    pool: Pool | str | Path,
    selector: BaseSelector,
    budget: Budget | int | str | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    base_model: str | None = None,
    arms: Arms | None = None,
    training: Training | None = None,
    chat: Callable[[str], Any] | None = None,
    max_failed: float = MAX_FAILED,
    shards: Shards | None = None,
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
        training: Serves :meth:`Context.train`, e.g. :class:`selkit.experiment.selection.training.ComponentTraining`.
        chat: Serves :meth:`Context.chat`, by default a :class:`ChatService` on the store, without a cap.
        max_failed: Largest share of rows whose scoring may fail; above it the work stops.
        shards: What runs independent scorers on shards of the pool, e.g. :class:`LocalShards`; by default the ones of
            :func:`scoring_in`, and without that one process does.

    Raises:
        SelkitError: Anything a person can mend, before any model loads where it can be known before.
    """
    store = store or Store()
    pool = pool if isinstance(pool, Pool) else load_pool(pool, store=store)
    selector = fill_models(selector, base_model)
    check_share(max_failed)
    own = ChatService(store)
    run = _Run(
        pool,
        selector,
        seed,
        store,
        base_model,
        arms or Arms(),
        training,
        chat or own,
        max_failed,
        shards or current_shards(),
    )
    with own, tempfile.TemporaryDirectory(prefix="selkit-") as scratch:
        rows = preflight(pool, selector, budget, run.context(Path(scratch)))
        check_trainings(selector, pool, base_model, training)
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
    for component in nested(selector):
        check_requirements(component)
        component.preflight(pool, ctx)
        for name in component.model_parameters():
            if (ref := getattr(component, name)) is not None:
                check_model(ref)
    return rows


@dataclass
class _Run:
    pool: Pool
    selector: BaseSelector
    seed: int
    store: Store
    base_model: str | None
    arms: Arms
    training: Training | None
    chat: Callable[[str], Any]
    max_failed: float
    shards: Shards | None
    spent: list[str] = field(default_factory=list)
    used: dict[str, list[str]] = field(default_factory=dict)
    scored: dict[str, tuple[Scores, Sequence[str]]] = field(default_factory=dict)

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
        return self._context(self.selector, cache_dir, self.seed)

    def _context(self, component: BaseSelector, cache_dir: Path, seed: int) -> HostContext:
        return HostContext(
            seed=seed,
            cache_dir=cache_dir,
            base_model=self.base_model,
            pool=self.pool,
            scores_service=self._scores,
            row_scores_service=lambda scorer: self._scored(scorer)[0].rows(),
            embeddings_service=self._embeddings,
            selection_service=self._selection,
            selections_service=lambda: self._note_used(self.arms.chosen),
            train_service=partial(self._train, component, seed),
            chat_service=self.chat,
            account=partial(self._account, component),
        )

    def _cut(self, scorer: Scorer, rows: int) -> tuple[Selection, dict[str, Any]]:
        scores, digest = self._scored(scorer)
        tie_seed = self.seed if scorer.tie_break() == "random" else None
        chosen, values, ties = scores.best(rows, higher_is_better=scorer.higher_is_better, tie_seed=tie_seed)
        counts = scores.counts()
        facts = counts | {"scores": digest, "ties_at_cut": ties}
        shortfall = None
        if len(chosen) < rows:
            without = len(self.pool) - counts["scored"]
            shortfall = f"{without} of {len(self.pool)} rows have no score under {scorer.name}"
        return Selection(tuple(chosen), dict(zip(chosen, values.tolist(), strict=True)), {}, shortfall), facts

    def _scores(self, scorer: Scorer) -> dict[str, float]:
        return self._scored(scorer)[0].as_dict()

    def _scored(self, scorer: Scorer) -> tuple[Scores, str]:
        key = score_key(scorer, self.pool, self.training, self.base_model)
        if key.digest not in self.scored:
            self.scored[key.digest] = self._pass(scorer, key)
        scores, uses = self.scored[key.digest]
        self._charge(key.digest, *uses)
        return scores, key.digest

    def _pass(self, scorer: Scorer, key: Key) -> tuple[Scores, Sequence[str]]:
        # What the pass itself uses is stored beside its scores, so that who finds them in the store knows it too.
        before, self.spent = self.spent, []
        try:
            scores, artifact = scoring_pass(
                scorer,
                self.pool,
                key,
                self.store,
                lambda folder: self._context(scorer, folder, 0),  # scores serve every seed: none depends on this one
                uses=lambda: self.spent,
                max_failed=self.max_failed,
                shards=self.shards,
            )
        finally:
            self.spent = before
        return scores, artifact.facts.get("uses", ())

    def _account(self, component: BaseSelector) -> str:
        """The key that calls of endpoints are charged to; a scorer's own, since its scores serve every selection."""
        if isinstance(component, Scorer):
            return score_key(component, self.pool, self.training, self.base_model).digest
        inputs = {"pool": self.pool.fingerprint, **component_inputs(component, self.training, self.base_model)}
        key = Key("chat", component.name, component.parameters(), provenance(component), inputs)
        self._charge(key.digest)
        return key.digest

    def _train(self, component: BaseSelector, seed: int, rows: Sequence[Example], recipe: Recipe, base: str) -> str:
        declared = [known for part in nested(component) for known in trainings_from(part, self.base_model)]
        if recipe not in [known for known, _ in declared]:
            raise ContractViolation(f"{component.name} trains under a recipe that its trainings() does not name")
        if (recipe, base) not in declared:
            raise ContractViolation(f"{component.name} trains {base!r}, which its trainings() does not name")
        training = service(self.training, component.name)
        trained = training.train(rows, recipe, base, turns=self.pool.turns, seed=seed, device=default_device())
        self._charge(trained.key)
        return trained.ref

    def _charge(self, *keys: str) -> None:
        self.spent = list(dict.fromkeys([*self.spent, *keys]))

    def _embeddings(
        self, ctx: Context, texts: Mapping[str, str], ref: str, pooling: Pooling, max_length: int | None
    ) -> Embeddings:
        found, artifact = stored_embeddings(
            texts, ref, pooling=pooling, max_length=max_length, ctx=ctx, store=self.store
        )
        if artifact is not None:
            self._charge(artifact.digest)
        return found

    def _selection(self, ref: str) -> Sequence[str]:
        ids = self.arms.named[ref] if ref in self.arms.named else read_selection(Path(ref))
        return self._note_used({ref: ids})[ref]

    def _note_used(self, selections: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        self.used |= {name: sorted(ids) for name, ids in selections.items()}
        return selections

    def _key(self, rows: int | None) -> Key:
        inputs = {"pool": self.pool.fingerprint, **component_inputs(self.selector, self.training, self.base_model)}
        inputs |= {f"selection:{name}": digest_text("\n".join(ids)) for name, ids in sorted(self.used.items())}
        selector = self.selector
        conditions = {"rows": rows, "seed": self.seed if selector.seeded else None, **choice_conditions(selector)}
        return Key("selection", selector.name, selector.parameters(), choice_versions(selector), inputs, conditions)


def _checked(selector: BaseSelector, selection: Selection, pool: Pool, rows: int | None) -> Selection:
    ids = tuple(str(i) for i in selection.ids)
    unknown = pool.unknown(ids)
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
