"""The command line: one thin module per command, imported only when that command runs.

Every command is a shell over a documented function. A command module has one attribute, ``command``, and imports what
it needs inside the body of that command, so that help stays as fast as click itself.
"""

from __future__ import annotations

from importlib import import_module

import click

from selkit import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("selkit.cli.run", "Run an experiment: select, train, answer, judge, compare, report."),
    "report": ("selkit.cli.report", "Write the reports of finished runs: HTML, Markdown, JSON."),
    "plan": ("selkit.cli.plan", "Show an experiment's stages, what is stored, what the rest will take."),
    "status": ("selkit.cli.status", "Show which cells of an experiment are done, under way, failed, to do."),
    "gc": ("selkit.cli.gc", "Remove from the store what no run needs."),
    "init": ("selkit.cli.init", "Write a commented experiment spec for your own pool."),
    "pool": ("selkit.cli.pool", "Look at a pool, or write it in selkit's own columns."),
    "select": ("selkit.cli.select", "Choose rows of a pool with a selector, within a budget."),
    "overlap": ("selkit.cli.overlap", "Print how many rows selections share."),
    "stats": ("selkit.cli.stats", "Say of every arm in a score table whether it beats random."),
    "train": ("selkit.cli.train", "Fine-tune a model on rows, under a recipe."),
    "generate": ("selkit.cli.generate", "Let a model answer prompts."),
    "judge": ("selkit.cli.judge", "Say which of two responses is better."),
    "eval": ("selkit.cli.eval", "Evaluate models, or what judges said of them."),
    "recipes": ("selkit.cli.recipes", "Show the training recipes that have a name."),
    "doctor": ("selkit.cli.doctor", "Look at installation and machine: what is missing, and the remedy."),
    "plugins": ("selkit.cli.plugins", "What is installed, from which package, in what state."),
    "completion": ("selkit.cli.completion", "Print the script that completes commands in your shell."),
}
"""Commands in the order of the help page: name -> (module, one line of help)."""


class LazyGroup(click.Group):
    """A group whose commands are named in a table and imported when they are asked for.

    Args:
        table: Command name -> (module with an attribute ``command``, one line of help).
    """

    def __init__(self, *args: object, table: dict[str, tuple[str, str]], **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the module of a command, or returns None where there is no such command."""
        if cmd_name not in self.table:
            return None
        command: click.Command = import_module(self.table[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands from the table alone, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command to run; an unknown one is refused with the nearest known name."""
        if args[0] not in self.table and not args[0].startswith("-"):
            from selkit.plugins.suggest import did_you_mean

            raise click.UsageError(f"No such command '{args[0]}'.{did_you_mean(args[0], self.table)}", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    name="selkit",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="selkit", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Tell whether a way of selecting instruction-tuning data is any good."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
