"""``selkit run``: a whole experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.experiment.executors import ExecutorName


@click.command("run")
@click.argument("spec", required=False, metavar="[FILE]")
@options.overrides
@options.output("Folder for report/, scores.parquet and the per-item data; default runs/NAME.")
@options.store
@click.option(
    "--executor",
    type=click.Choice(("local", "ray", "slurm")),
    default="local",
    show_default=True,
    help="Where cells are done: processes of this machine, a Ray cluster, or Slurm jobs.",
)
@click.option("--ray-address", metavar="HOST:PORT", help="The Ray cluster; by default the one that runs here.")
@click.option(
    "-x",
    "--executor-option",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the executor: train.gpus=1 of ray, partition=gpu of slurm ...; repeat for more.",
)
@options.as_json
@options.dry_run
@options.verbosity
def command(
    spec: str | None,
    overrides: tuple[str, ...],
    output: str | None,
    store: str | None,
    executor: ExecutorName,
    ray_address: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
) -> None:
    """Run the experiment in FILE: select, train, answer, judge, compare, report.

    Without FILE the embedded quickstart runs: a planted pool and a small Llama, in a few minutes. The same command
    again takes up what is finished.
    """
    import json

    from selkit.api import WorkFailed
    from selkit.console import get_console
    from selkit.experiment import PLAN_COLUMNS, load_spec, plan, quickstart_spec, run_experiment
    from selkit.experiment.executors import make_executor, parse_options
    from selkit.experiment.jobs import resources
    from selkit.report import verdict_table
    from selkit.store import Store

    console = get_console()
    loaded = load_spec(Path(spec), overrides) if spec else quickstart_spec(overrides)
    where = Store(None if store is None else Path(store))
    folder = Path(output) if output else Path("runs") / loaded.name
    chosen = make_executor(
        executor, parse_options(assignments), resources=resources(loaded), folder=folder, ray_address=ray_address
    )
    if dry_run:
        planned = plan(loaded, where)
        console.table(loaded.name, PLAN_COLUMNS, planned.rows())
        for claim in planned.experiment.notes:
            console.note(claim)
        return
    document = run_experiment(loaded, folder, store=where, executor=chosen)
    if as_json:
        console.result(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        console.table(f"{loaded.name}: verdicts against {loaded.control}", *verdict_table(document["verdicts"]))
        searched = document["search"]["sentences"] if "search" in document else []
        for line in [*document["sentences"], *searched, *document["claims"]]:
            console.result(line.rstrip(".") + ".")
        console.result(f"report: {folder / 'report' / 'report.html'}")
    if failures := document["failures"]:
        raise WorkFailed(_failed(failures, document["measured"].get("logs", {})))
    if unfit := [row["testset"] for row in document["judges"] if (row["canaries"] or {}).get("fit") is False]:
        raise WorkFailed(
            f"canaries fooled the judge of {', '.join(unfit)}: its verdicts are reported and not to be believed; take "
            "another judge or prompt"
        )


def _failed(failures: Sequence[Mapping[str, str]], logs: Mapping[str, str], most: int = 10) -> str:
    """What failed, with the reason and the log of each cell, of very many the first; and what to do."""
    told = [
        f"{one['cell']} ({one['error']}" + (f"; log: {logs[one['cell']]})" if one["cell"] in logs else ")")
        for one in failures[:most]
    ]
    more = f" and {len(failures) - most} more, which `selkit status` lists" if len(failures) > most else ""
    number = "1 cell" if len(failures) == 1 else f"{len(failures)} cells"
    return (
        f"{number} failed: {', '.join(told)}{more}: the others are stored and reported, and the same command tries "
        "these again"
    )
