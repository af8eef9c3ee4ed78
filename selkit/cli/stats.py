"""``selkit stats``: verdicts for anybody's scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.stats import VerdictRow


@click.command("stats")
@click.argument("file", metavar="FILE")
@click.option("--control", default="random", show_default=True, metavar="ARM", help="The arm to compare with.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Family-wise error rate.")
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="BENCHMARK=POINTS",
    help="The smallest difference that matters, in points of 100; repeat for more, 1 where not given.",
)
@click.option("--intersect", is_flag=True, help="Keep only the items that all runs have, instead of refusing.")
@options.as_json
@options.verbosity
def command(file: str, control: str, alpha: float, margins: tuple[str, ...], intersect: bool, as_json: bool) -> None:
    """Say of every arm in a score table whether it beats the control.

    FILE is Parquet or CSV with the columns arm, run, item, benchmark and score (0 to 1), and optionally cluster,
    recipe, pool and budget.
    """
    import json

    from selkit.console import get_console
    from selkit.stats import ScoreTable, compare, sentence, to_json

    wanted = parse_margins(margins)
    table = ScoreTable.read(file)
    _check_margins(wanted, table.benchmarks)
    rows = compare(table, control, alpha=alpha, margins=wanted, intersect=intersect)
    console = get_console()
    if as_json:
        console.result(json.dumps(to_json(rows), indent=2, allow_nan=False))
        return
    if not rows:
        console.note(f"{file} holds no arm besides {control!r}, so there is nothing to compare")
        return
    console.table("verdicts (differences in points of 100)", *verdict_table(rows))
    console.result("")
    for row in rows:
        console.result(sentence(row) + ".")


def parse_margins(assignments: Sequence[str]) -> dict[str, float]:
    """``['ifeval=1.5']`` as a mapping.

    Raises:
        UsageError: An assignment is not BENCHMARK=POINTS.
    """
    from selkit.api.errors import UsageError

    margins = {}
    for assignment in assignments:
        name, _, number = assignment.rpartition("=")
        try:
            margins[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--margin {assignment!r} is not BENCHMARK=POINTS, such as ifeval=1.5")
    return margins


def _check_margins(margins: Collection[str], benchmarks: Sequence[str]) -> None:
    from selkit.api.errors import UsageError
    from selkit.plugins.suggest import did_you_mean

    for name in margins:
        if name not in benchmarks:
            have = ", ".join(benchmarks)
            raise UsageError(
                f"there is no benchmark {name!r}: the benchmarks are {have}.{did_you_mean(name, benchmarks)}"
            )


def verdict_table(rows: Sequence[VerdictRow]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the table for people; places that no row names are left out."""
    places = [name for name in ("pool", "budget", "recipe") if any(getattr(row, name) is not None for row in rows)]
    headings = ["arm", "benchmark", *places, "difference", "95% interval", "simultaneous", "Holm p", "runs", "items"]
    cells = [
        [
            row.arm if row.control == rows[0].control else f"{row.arm} (against {row.control})",
            row.benchmark,
            *("" if getattr(row, name) is None else str(getattr(row, name)) for name in places),
            "" if row.effect is None else f"{row.effect:+.1f}",
            _interval(row.ci_low, row.ci_high),
            _interval(row.simultaneous_low, row.simultaneous_high),
            "" if row.p_holm is None else "<0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}",
            f"{row.runs} / {row.control_runs}",
            str(row.items),
            str(row.verdict),
        ]
        for row in rows
    ]
    return [*headings, "verdict"], cells


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.1f} to {high:+.1f}"
