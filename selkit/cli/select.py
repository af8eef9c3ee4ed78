"""``selkit select``: choose rows of a pool."""

from __future__ import annotations

from pathlib import Path

import click

from selkit.cli.options import common_options, json_option, seed_option, store_option


@click.command("select")
@click.argument("pool")
@click.option("-s", "--selector", required=True, metavar="NAME", help="The selector; `selkit plugins` lists them.")
@click.option("-p", "parameters", multiple=True, metavar="KEY=VALUE", help="A parameter of the selector; repeatable.")
@click.option("-b", "--budget", metavar="N|5%", help="Rows to choose: a number, or a share of the pool.")
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the selection; - prints ids.")
@click.option("--model", "base_model", metavar="MODEL", help="Model for the selector's model parameters left unset.")
@click.option("--turns", type=click.Choice(["last", "all"]), default="last", help="Assistant turns that train.")
@click.option("--llama-factory", is_flag=True, help="Also write the rows with a dataset_info.json.")
@click.option("--skip-bad-lines", is_flag=True, help="Name and drop lines that are not valid JSON.")
@click.option("-n", "--dry-run", is_flag=True, help="Check everything and say what would be done.")
@click.option("-f", "--force", is_flag=True, help="Replace another selection in the folder.")
@seed_option
@store_option
@json_option
@common_options
def command(
    pool: str,
    selector: str,
    parameters: tuple[str, ...],
    budget: str | None,
    output: str,
    base_model: str | None,
    turns: str,
    llama_factory: bool,
    skip_bad_lines: bool,
    dry_run: bool,
    force: bool,
    seed: int,
    store: Path | None,
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
        selector=build("selector", selector, parse_assignments(parameters)),
        budget=budget,
        output=None if output == "-" else Path(output),
        base_model=base_model,
        turns="all" if turns == "all" else "last",
        llama_factory=llama_factory,
        skip_bad_lines=skip_bad_lines,
        dry_run=dry_run,
        force=force,
        seed=seed,
        store=store,
    )
    run_job(job, as_json=as_json)
