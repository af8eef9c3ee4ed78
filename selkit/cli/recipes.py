"""``selkit recipes``: the training recipes that selkit knows by name."""

from __future__ import annotations

import click

from selkit.cli import options


@click.group(invoke_without_command=True)
@options.as_json
@options.verbosity
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the training recipes that have a name."""
    if ctx.invoked_subcommand is None:
        _list(as_json)


@command.command("list")
@options.as_json
@options.verbosity
def list_(as_json: bool) -> None:
    """List all recipes with their main values."""
    _list(as_json)


@command.command()
@click.argument("name")
@options.as_json
@options.verbosity
def show(name: str, as_json: bool) -> None:
    """Show every field of one recipe, and which values its source does not print."""
    import json

    from selkit.console import get_console
    from selkit.train import load_recipe

    recipe = load_recipe(name)
    values = recipe.as_dict()
    if as_json:
        get_console().result(json.dumps(values, indent=2, ensure_ascii=False))
        return
    marks = dict.fromkeys(recipe.inferred, "inferred")
    rows = [(field, _text(value), marks.get(field, "")) for field, value in values.items() if field != "inferred"]
    get_console().table("", ("field", "value", "note"), rows)


def _list(as_json: bool) -> None:
    import json

    from selkit.console import get_console
    from selkit.train import RECIPES

    if as_json:
        every = [recipe.as_dict() for recipe in RECIPES.values()]
        get_console().result(json.dumps(every, indent=2, ensure_ascii=False))
        return
    columns = ("recipe", "rate", "batch", "passes", "scheduler", "length", "template", "source")
    rows = [
        (
            recipe.name,
            f"{recipe.learning_rate:g}",
            recipe.batch_size,
            f"{recipe.epochs:g} epochs" if recipe.epochs else f"{recipe.max_steps} steps",
            recipe.scheduler,
            recipe.max_length,
            recipe.template,
            recipe.source,
        )
        for recipe in RECIPES.values()
    ]
    get_console().table("", columns, rows)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
