"""``selkit select``: choose rows of a pool."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options
from selkit.cli.reading import pool_spec, reading

if TYPE_CHECKING:
    from selkit.select import Training
    from selkit.store import Store


@click.command("select")
@click.argument("pool")
@click.option("-s", "--selector", required=True, metavar="NAME", help="The selector; `selkit plugins` lists them.")
@options.parameters
@click.option("-b", "--budget", metavar="N|5%", help="Rows to choose: a number, or a share of the pool.")
@options.output("Folder for selection.jsonl and manifest.json; - prints the ids.", required=True)
@click.option("--model", "base_model", metavar="MODEL", help="Model for the selector's model parameters left unset.")
@reading
@click.option("--llama-factory", is_flag=True, help="Also write the rows with a dataset_info.json.")
@options.seed
@click.option(
    "--max-failed",
    type=float,
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="Largest share of rows whose scoring may fail; above it the work stops.",
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes that score the pool; default 1.")
@click.option("--ray-address", metavar="HOST:PORT", help="Score the pool on this Ray cluster.")
@options.max_cost
@options.concurrency
@options.store
@options.as_json
@options.dry_run
@options.force
@options.verbosity
def command(
    pool: str,
    selector: str,
    assignments: tuple[str, ...],
    budget: str | None,
    output: str,
    base_model: str | None,
    llama_factory: bool,
    dry_run: bool,
    force: bool,
    seed: int,
    max_failed: float,
    workers: int | None,
    ray_address: str | None,
    max_cost: float | None,
    concurrency: int | None,
    store: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Choose rows of POOL with a selector, within a budget.

    POOL is a file or folder, a named pool such as alpaca or planted, or hub:NAME@REVISION. The same command again
    goes on where it stopped and writes the same bytes. --cap and --sample keep the same rows whatever the seed is.
    """
    from selkit.plugins import build, parse_assignments
    from selkit.select import needs_training
    from selkit.select.command import SelectJob, run_job

    job = SelectJob(
        pool=pool_spec(pool, **how),
        selector=build("selector", selector, parse_assignments(assignments)),
        budget=budget,
        output=None if output == "-" else Path(output),
        base_model=base_model,
        llama_factory=llama_factory,
        dry_run=dry_run,
        force=force,
        seed=seed,
        store=None if store is None else Path(store),
        max_failed=max_failed,
        max_cost=max_cost,
        concurrency=concurrency,
    )
    with _scoring(workers, ray_address, job.store):
        run_job(job, as_json=as_json, training=_training if needs_training(job.selector) else None)


def _scoring(workers: int | None, ray_address: str | None, store: Path | None) -> AbstractContextManager[None]:
    """Where independent scorers run: in this process, in several, or on a cluster."""
    from selkit.api import UsageError
    from selkit.select import LocalShards, scoring_in
    from selkit.store import Store

    if ray_address is None:
        return scoring_in(LocalShards(workers) if workers and workers > 1 else None)
    if workers is not None:
        raise UsageError("--workers are processes of this machine, and --ray-address is a cluster: keep one of them")
    from selkit.experiment.executors.ray import RayOptions, ray_shards

    return ray_shards(ray_address, RayOptions(), Store(store))


def _training(store: Store) -> Training:
    from selkit.experiment.selection.training import ComponentTraining

    return ComponentTraining(store)
