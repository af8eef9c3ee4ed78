"""What ``selkit select`` does, as a function."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selkit.api import BaseSelector, Pool, Scorer
from selkit.console import get_console
from selkit.models import HostContext
from selkit.models.client import ChatService
from selkit.pools import PoolSpec, load_pool
from selkit.select.engine import fill_models, preflight, select
from selkit.select.keys import score_key
from selkit.select.output import check_same, manifest_of, prepare_output, write_selection
from selkit.select.result import SelectionResult
from selkit.select.scoring import MAX_FAILED, check_share, stored_scores
from selkit.select.training import Training, check_trainings
from selkit.store import Store, canonical_json, digest_text, measured_since


@dataclass(frozen=True)
class SelectJob:
    """The options of ``selkit select``; ``output`` is None where ids go to stdout."""

    pool: str | PoolSpec
    selector: BaseSelector
    budget: str | None = None
    output: Path | None = None
    base_model: str | None = None
    llama_factory: bool = False
    dry_run: bool = False
    force: bool = False
    seed: int = 0
    store: Path | None = None
    max_failed: float = MAX_FAILED
    max_cost: float | None = None
    concurrency: int | None = None


def run_job(
    job: SelectJob, *, as_json: bool = False, training: Callable[[Store], Training] | None = None
) -> SelectionResult | None:
    """Selects and writes; prints the ids, the manifest, or a line that says what was written. None on a dry run.

    ``training`` makes what trains models for components, with the job's store; without it a selector that has a model
    trained is refused.
    """
    console = get_console()
    started = time.time()
    store = Store(job.store)
    trainer = None if training is None else training(store)
    check_share(job.max_failed)
    if job.output is not None:
        prepare_output(job.output, force=job.force)
    pool = load_pool(job.pool, store=store)
    with ChatService(store, job.max_cost, _purse(job.selector, pool), job.concurrency) as chat:
        if job.dry_run:
            console.result(_plan(job, pool, store, trainer, chat))
            return None
        result = select(
            pool,
            job.selector,
            job.budget,
            seed=job.seed,
            store=store,
            base_model=job.base_model,
            training=trainer,
            chat=chat,
            max_failed=job.max_failed,
        )
    if result.facts["budget"] == 0:
        console.note("a budget of 0 chooses no rows")
    if result.selection.shortfall:
        console.note(f"{len(result.ids)} rows instead of {result.facts['budget']}: {result.selection.shortfall}")
    if job.output is None:
        console.result(
            json.dumps(manifest_of(result), indent=2, ensure_ascii=False) if as_json else "\n".join(result.ids)
        )
        return result
    check_same(job.output, result.key.digest, force=job.force)
    manifest = write_selection(
        result,
        job.output,
        measured=measured_since(started),
        llama_factory=job.llama_factory,
        scores=stored_scores(store, result.facts.get("scores")),
    )
    if as_json:
        console.result(manifest.read_text(encoding="utf-8").rstrip())
    else:
        console.result(f"{len(result.ids)} of {len(pool)} rows of {pool.name} by {result.selector.name}: {job.output}")
    return result


def _purse(selector: BaseSelector, pool: Pool) -> str:
    """What a cap on dollars holds for: this selector on this pool, whatever the budget and the seed."""
    return digest_text(canonical_json(["select", selector.name, selector.parameters(), pool.fingerprint]))


def _plan(job: SelectJob, pool: Pool, store: Store, trainer: Training | None, chat: ChatService) -> str:
    """What would be done, checked as far as that goes without doing it."""
    selector, size = fill_models(job.selector, job.base_model), len(pool)
    ctx = HostContext(seed=job.seed, cache_dir=store.root, base_model=job.base_model, pool=pool, chat_service=chat)
    rows = preflight(pool, selector, job.budget, ctx)
    check_trainings(selector, pool, job.base_model, trainer)
    budget = "its own size" if rows is None else f"{rows} of {size} rows"
    scores = ""
    if isinstance(selector, Scorer):
        stored = store.find(score_key(selector, pool, trainer, job.base_model)) is not None
        scores = "; its scores are in the store" if stored else f"; {size} rows would be scored"
    return f"would select {budget} with {selector.name}{scores}"
