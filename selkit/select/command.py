"""What ``selkit select`` does, as a function."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selkit.api import BaseSelector, Scorer
from selkit.console import get_console
from selkit.models import HostContext
from selkit.pools import PoolSpec, load_pool
from selkit.select.engine import fill_models, preflight, select
from selkit.select.keys import score_key
from selkit.select.output import check_same, manifest_of, prepare_output, write_selection
from selkit.select.result import SelectionResult
from selkit.select.scoring import MAX_FAILED, check_share
from selkit.select.training import Training, check_trainings
from selkit.store import Store, measured_since


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
    if job.dry_run:
        selector = fill_models(job.selector, job.base_model)
        ctx = HostContext(seed=job.seed, cache_dir=store.root, base_model=job.base_model, pool=pool)
        rows = preflight(pool, selector, job.budget, ctx)
        check_trainings(selector, pool, job.base_model, trainer)
        stored = isinstance(selector, Scorer) and store.find(score_key(selector, pool, trainer)) is not None
        console.result(_plan(selector, len(pool), rows, stored))
        return None
    result = select(
        pool,
        job.selector,
        job.budget,
        seed=job.seed,
        store=store,
        base_model=job.base_model,
        training=trainer,
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
    manifest = write_selection(result, job.output, measured=measured_since(started), llama_factory=job.llama_factory)
    if as_json:
        console.result(manifest.read_text(encoding="utf-8").rstrip())
    else:
        console.result(f"{len(result.ids)} of {len(pool)} rows of {pool.name} by {result.selector.name}: {job.output}")
    return result


def _plan(selector: BaseSelector, size: int, rows: int | None, stored: bool) -> str:
    budget = "its own size" if rows is None else f"{rows} of {size} rows"
    scores = ""
    if isinstance(selector, Scorer):
        scores = "; its scores are in the store" if stored else f"; {size} rows would be scored"
    return f"would select {budget} with {selector.name}{scores}"
