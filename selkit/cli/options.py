"""Options that mean the same in every command. Import the decorators; do not spell an option again.

Paths are plain text here: whether a file is there, and with which exit code its absence ends the command, is decided
by the function that the command calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _inherited(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """The option's value, or that of the same option before a subcommand: ``selkit plugins --json show ifd``."""
    key = f"selkit.{parameter.name}"
    ctx.meta[key] = value or ctx.meta.get(key, value)
    return ctx.meta[key]


def flag(*names: str, help: str) -> Callable[[F], F]:
    """An on-off option that a group hands down to its subcommands."""
    return click.option(*names, is_flag=True, callback=_inherited, help=help)


def output(help: str = "Folder to write to.", *, required: bool = False) -> Callable[[F], F]:
    """``-o``: where the result goes. Arrives as ``output``, text or None."""
    return click.option("-o", "--output", metavar="DIR", required=required, help=help)


overrides = click.option(
    "-s",
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Another value for a key of FILE, such as runs.random=10 or recipe.epochs=1; repeat for more.",
)
"""``-s``: changes to a spec. Arrives as ``overrides``, a tuple of texts."""

as_json = flag("--json", "as_json", help="Write the result as JSON.")
"""``--json``: the result for programs. Arrives as ``as_json``."""

seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is drawn.")
"""``--seed``: arrives as ``seed``."""

dry_run = click.option("-n", "--dry-run", is_flag=True, help="Check and show what would be done, and do nothing.")
"""``-n``: arrives as ``dry_run``."""

force = click.option("-f", "--force", is_flag=True, help="Overwrite what is there.")
"""``-f``: arrives as ``force``."""

store = click.option(
    "--store", metavar="DIR", envvar="SELKIT_STORE", show_envvar=True, help="Folder of stored artefacts to use."
)
"""``--store``: arrives as ``store``, text or None."""

engine = click.option(
    "--engine",
    type=click.Choice(("hf", "vllm", "openai")),
    help="transformers, vLLM, or a served model; by default vLLM on a GPU where it is installed, else hf.",
)
"""``--engine``: arrives as ``engine``, text or None."""

max_cost = click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="DOLLARS",
    help="What calls of endpoints may cost in all, earlier attempts included; nothing is sent that could pass it.",
)
"""``--max-cost``: arrives as ``max_cost``, a number or None."""

concurrency = click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Requests under way at once per endpoint; 64 where your settings say nothing else.",
)
"""``--concurrency``: arrives as ``concurrency``, a number or None."""

parameters = click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the component; repeat for more, and use KEY.KEY for those of a nested component.",
)
"""``-p``: arrives as ``assignments``; hand it to :func:`selkit.plugins.parse_assignments`."""


def verbosity(command: F) -> F:
    """``-q`` and ``-v``: set the console; nothing arrives at the command."""
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_quiet, help="No notes and no progress."
    )
    verbose = click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_set_verbose, help="Show details."
    )
    return quiet(verbose(command))


def _set_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    from selkit.console import get_console

    get_console().quiet = _inherited(ctx, parameter, value)


def _set_verbose(ctx: click.Context, parameter: click.Parameter, value: int) -> None:
    from selkit.console import get_console

    get_console().verbose = _inherited(ctx, parameter, value)
