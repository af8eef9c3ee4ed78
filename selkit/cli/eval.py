"""``selkit eval``: models against standard benchmarks, and win rates from judges' annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selkit.cli import options
from selkit.cli.benchmarks import command as evaluate_model
from selkit.cli.prefetch import command as prefetch

if TYPE_CHECKING:
    from selkit.evals.alpaca_eval import ModelRates

_MODEL = "MODEL"


class EvalGroup(click.Group):
    """A group whose first word is a subcommand or, where it names none, a model to evaluate."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hands everything that begins with no subcommand to the command that evaluates a model."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_MODEL, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands that people type."""
        return [name for name in super().list_commands(ctx) if name != _MODEL]


@click.group("eval", cls=EvalGroup)
def command() -> None:
    """Evaluate models, or what judges said of them.

    `selkit eval MODEL -b NAME` scores a model on benchmarks, `selkit eval -b NAME --responses FILE` stored outputs; see
    `selkit eval MODEL --help`.
    """


command.add_command(evaluate_model, _MODEL)
command.add_command(prefetch)


@command.command("alpaca-eval")
@click.option(
    "--annotations",
    multiple=True,
    required=True,
    metavar="FILE",
    help="AlpacaEval's annotations.json, or JSON Lines (.gz too); repeat for more.",
)
@click.option("--eval-set", metavar="FILE", help="The instructions, with the outputs of the baseline.")
@click.option(
    "--baseline-outputs",
    multiple=True,
    metavar="FILE",
    help="The model_outputs.json of a baseline among several; repeat for more.",
)
@click.option(
    "--mode",
    type=click.Choice(["official", "direct"]),
    default="official",
    show_default=True,
    help="AlpacaEval's own GLM, or any model against any baseline.",
)
@click.option(
    "--lc-assets",
    metavar="DIR",
    envvar="SELKIT_LC_ASSETS",
    show_envvar=True,
    help="Folder with AlpacaEval's df_gamed.csv, for the official mode.",
)
@click.option(
    "--baselines",
    type=click.Choice(["pooled", "drawn"]),
    default="pooled",
    show_default=True,
    help="Of several baselines take every comparison, or one drawn for each instruction.",
)
@click.option(
    "--difficulty",
    type=click.Choice(["none", "joint"]),
    default="none",
    show_default=True,
    help="joint: estimate how hard instructions are, from 5 models or more.",
)
@click.option("--bootstraps", type=int, default=1000, show_default=True, help="Resamples that intervals rest on.")
@click.option("--leaderboard", metavar="FILE", help="Leaderboard CSV to add the models to, or to write.")
@options.output("Folder for the results as AlpacaEval lays them out.")
@options.seed
@options.as_json
@options.force
@options.verbosity
def alpaca_eval(
    annotations: tuple[str, ...],
    eval_set: str | None,
    baseline_outputs: tuple[str, ...],
    mode: str,
    lc_assets: str | None,
    baselines: str,
    difficulty: str,
    bootstraps: int,
    leaderboard: str | None,
    output: str | None,
    seed: int,
    as_json: bool,
    force: bool,
) -> None:
    """Print win rates and length-controlled win rates from AlpacaEval annotations.

    The official mode needs AlpacaEval's own baseline, eval set and assets. The direct mode needs only the comparisons,
    and says nothing where the lengths of the two sides hardly overlap.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.evals.alpaca_eval.command import AlpacaEvalJob, run_job

    job = AlpacaEvalJob(
        annotations=tuple(map(Path, annotations)),
        eval_set=None if eval_set is None else Path(eval_set),
        baseline_outputs=tuple(map(Path, baseline_outputs)),
        lc_assets=Path(lc_assets) if lc_assets else None,
        mode=mode,
        baselines=baselines,
        difficulty=difficulty,
        bootstraps=bootstraps,
        seed=seed,
        leaderboard=None if leaderboard is None else Path(leaderboard),
        output=None if output is None else Path(output),
        force=force,
    )
    found, rates = run_job(job)
    console = get_console()
    if as_json:
        console.result(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
        return
    console.table("", COLUMNS, [_cells(one) for one in rates])
    for one in rates:
        if one.reason:
            console.note(f"{one.name}: {one.reason}")


COLUMNS = ("model", "n", "win rate", "length-controlled", "SE", "95% interval", "less 50", "theta", "overlap")
"""Headings of the table for people; rates in percent."""


def _cells(one: ModelRates) -> list[object]:
    interval = "" if one.lc_ci is None else f"{one.lc_ci[0]:.2f} to {one.lc_ci[1]:.2f}"
    less = one.mean_adjusted_lc_win_rate
    return [
        one.name,
        one.n,
        f"{one.win_rate:.2f}",
        "not identified" if one.lc_win_rate is None else f"{one.lc_win_rate:.2f}",
        "" if one.lc_se is None else f"{one.lc_se:.2f}",
        interval,
        "" if less is None else f"{less:+.2f}",
        "" if one.theta is None else f"{one.theta:.2f}",
        f"{100 * one.overlap:.1f}%",
    ]
