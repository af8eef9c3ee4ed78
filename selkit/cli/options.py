"""Options that mean the same in every command. Import the decorators; do not spell an option again.

Paths are plain text here: whether a file is there, and with which exit code its absence ends the command, is decided
by the function that the command calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def output(help: str = "Folder to write to.", *, required: bool = False) -> Callable[[F], F]:
    """``-o``: where the result goes. Arrives as ``output``, text or None."""
    return click.option("-o", "--output", metavar="DIR", required=required, help=help)


as_json = click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")
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

    get_console().quiet = value


def _set_verbose(ctx: click.Context, parameter: click.Parameter, value: int) -> None:
    from selkit.console import get_console

    get_console().verbose = value
