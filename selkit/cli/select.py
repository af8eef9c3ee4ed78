"""``selkit select``: choose rows of a pool."""

from __future__ import annotations

from pathlib import Path

import click

from selkit.cli import options


@click.command("select")
@click.argument("pool")
@click.option("-s", "--selector", required=True, metavar="NAME", help="The selector; `selkit plugins` lists them.")
@options.parameters
@click.option("-b", "--budget", metavar="N|5%", help="Rows to choose: a number, or a share of the pool.")
@options.output("Folder for selection.jsonl and manifest.json; - prints the ids.", required=True)
@click.option("--model", "base_model", metavar="MODEL", help="Model for the selector's model parameters left unset.")
@click.option("--turns", type=click.Choice(["last", "all"]), default="last", help="Assistant turns that train.")
@click.option("--llama-factory", is_flag=True, help="Also write the rows with a dataset_info.json.")
@click.option("--skip-bad-lines", is_flag=True, help="Name and drop lines that are not valid JSON.")
@options.seed
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
    turns: str,
    llama_factory: bool,
    skip_bad_lines: bool,
    dry_run: bool,
    force: bool,
    seed: int,
    store: str | None,
    as_json: bool,
) -> None:
    """Choose rows of POOL with a selector, within a budget.

    POOL is a file or folder, a named pool such as alpaca or planted, or hub:NAME@REVISION. The same command again
    goes on where it stopped and writes the same bytes.
    """
    from selkit.plugins import build, parse_assignments
    from selkit.select.command import SelectJob, run_job

    job = SelectJob(
        pool=pool,
        selector=build("selector", selector, parse_assignments(assignments)),
        budget=budget,
        output=None if output == "-" else Path(output),
        base_model=base_model,
        turns="all" if turns == "all" else "last",
        llama_factory=llama_factory,
        skip_bad_lines=skip_bad_lines,
        dry_run=dry_run,
        force=force,
        seed=seed,
        store=None if store is None else Path(store),
    )
    run_job(job, as_json=as_json)
