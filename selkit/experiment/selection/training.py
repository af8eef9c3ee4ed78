"""Trains models for components: through selkit's own training stage, each once per store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selkit.api import Example, Pool, Turns
from selkit.models import default_threads, forget_models, kind_of, resolve
from selkit.select import Recipe, Trained
from selkit.store import Draft, Key, Store, canonical_json, digest_text
from selkit.train import check_training, load_recipe, precision_on, train, training_versions

MODEL = "model"


@dataclass(frozen=True)
class ComponentTraining:
    """What serves :meth:`selkit.api.Context.train` in ``selkit select`` and ``selkit run``.

    A trained model is a stored result: the same rows, recipe, base model, seed and threads are trained once and serve
    every scorer and run. Its cost is in the store's ledger.

    Args:
        store: Where trained models are kept.
    """

    store: Store

    def check(self, recipe: Recipe, base: str, pool: Pool) -> None:
        """Refuses, before any model loads, a training on rows of ``pool`` that cannot run.

        Raises:
            UsageError: The recipe is unknown, or asks for what this model or machine does not have.
            MissingExtra: The packages for training are not installed.
            DataError: The model is missing or no causal language model, or there is nothing to train on.
        """
        check_training(base, pool, load_recipe(recipe))

    def identity(self, recipe: Recipe) -> str:
        """Digest of the recipe's settings and of the versions of the packages that train."""
        known = load_recipe(recipe)
        return digest_text(canonical_json([known.settings, training_versions(known)]))

    def train(
        self, rows: Sequence[Example], recipe: Recipe, base: str, *, turns: Turns, seed: int, device: str
    ) -> Trained:
        """The model that training ``base`` on ``rows`` gives, from the store or trained now.

        Only the texts of the rows count, in the order of their ids.
        """
        texts = (replace(row, source="", extra={}) for row in sorted(rows, key=lambda row: row.id))
        pool = Pool.from_examples(texts, name="rows of a component", turns=turns)
        key = _key(pool, recipe, base, seed, _kind(device))
        artifact = self.store.obtain(key, lambda draft: _train(draft, pool, recipe, base, seed, _kind(device)))
        return Trained(str(artifact.directory / MODEL), artifact.digest)


def _train(draft: Draft, pool: Pool, recipe: Recipe, base: str, seed: int, device: str) -> None:
    forget_models()  # the memory is training's now
    report = train(
        base,
        pool,
        recipe,
        draft.directory / MODEL,
        seed=seed,
        device=device,
        threads=default_threads() if device == "cpu" else None,
        partial=draft.partial / "training",
    )
    draft.record(rows=len(pool), trained=report.n_trained, steps=report.steps, final_loss=report.final_loss)
    draft.spend("training.seconds", report.seconds, "trainer")
    draft.spend("tokens.trained", report.total_tokens * report.epochs, "trainer")


def _key(pool: Pool, recipe: Recipe, base: str, seed: int, device: str) -> Key:
    known = load_recipe(recipe)
    conditions = {"seed": seed, "turns": pool.turns, "device": device}
    conditions |= {"threads": default_threads()} if device == "cpu" else {"precision": precision_on(known, device)}
    return Key(
        "weights",
        "component",
        known.settings,
        training_versions(known),
        {"model": resolve(base).digest, "rows": pool.fingerprint},
        conditions,
    )


def _kind(device: str) -> str:
    """'cuda' for any GPU: training takes the first that it sees."""
    return "cuda" if kind_of(device) == "cuda" else "cpu"
