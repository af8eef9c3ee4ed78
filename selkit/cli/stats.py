"""``selkit stats``: verdicts for anybody's scores, and intervals for published counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.console import Console
    from selkit.stats import Study, VerdictRow


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
@click.option("--counts", is_flag=True, help="FILE holds published counts: win, tie, lose and n, one comparison a row.")
@click.option(
    "--ties",
    type=float,
    multiple=True,
    metavar="SHARE",
    help="With --counts: ties to assume where only wins less losses are known; repeat for more. Default: 0.2 and 0.3.",
)
@options.as_json
@options.verbosity
def command(
    file: str,
    control: str,
    alpha: float,
    margins: tuple[str, ...],
    intersect: bool,
    counts: bool,
    ties: tuple[float, ...],
    as_json: bool,
) -> None:
    """Say of every arm in a score table whether it beats the control.

    FILE is Parquet or CSV with the columns arm, run, item, benchmark and score (0 to 1), and optionally cluster,
    recipe, pool and budget. Several benchmarks also make a composite, in which they count alike.

    With --counts, FILE holds comparisons of two models: win, tie and lose (and n), or n with net (wins less losses) or
    ws (winning score). Every other column is a label. Their intervals are over items alone.
    """
    _check_mode(counts, bool(ties), bool(margins) or intersect)
    if counts:
        _counts(file, alpha, ties, as_json)
    else:
        _verdicts(file, control, alpha, parse_margins(margins), intersect, as_json)


def _check_mode(counts: bool, ties: bool, others: bool) -> None:
    from selkit.api.errors import UsageError

    if counts and others:
        raise UsageError("--margin and --intersect are for score tables and mean nothing with --counts: leave them out")
    if ties and not counts:
        raise UsageError("--ties is for published counts: add --counts, or leave it out")


def _counts(file: str, alpha: float, ties: Sequence[float], as_json: bool) -> None:
    """Intervals for published counts."""
    import json

    from selkit.cli.stats_tables import counts_table
    from selkit.console import get_console
    from selkit.stats.counts import TIES, count_rows, counts_json, read_counts

    rows = count_rows(read_counts(file, ties or TIES), alpha)
    console = get_console()
    if as_json:
        console.result(json.dumps(counts_json(rows), indent=2, allow_nan=False))
        return
    console.table("win rate less 50, in points of 100; 95% intervals over items alone", *counts_table(rows))
    stands, corrected = sum(row.stands for row in rows), sum(row.stands_holm for row in rows)
    alike = sum(row.p is None for row in rows)
    but = f" {alike} with outcomes that are all the same have no interval, only a sign test." if alike else ""
    console.result("")
    console.result(
        f"{stands} of {len(rows)} stand on their items, {corrected} after Holm's correction.{but} How much "
        "another training run would differ is not in these counts."
    )


def _verdicts(
    file: str, control: str, alpha: float, wanted: Mapping[str, float], intersect: bool, as_json: bool
) -> None:
    """Verdicts for a score table."""
    import json

    from selkit.console import get_console
    from selkit.stats import Rules, ScoreTable, equal_weights, study

    table = ScoreTable.read(file)
    weights = equal_weights(table.benchmarks)
    _check_margins(wanted, [*table.benchmarks, *(["composite"] if weights else [])])
    rules = Rules(control=control, alpha=alpha, margins=wanted, weights=weights, intersect=intersect)
    found = study(table, rules)
    console = get_console()
    if as_json:
        console.result(json.dumps(found.to_json(), indent=2, allow_nan=False))
    elif not found.verdicts:
        console.note(f"{file} holds no arm besides {control!r}, so there is nothing to compare")
    else:
        _show(console, found, weights)


def _show(console: Console, found: Study, weights: Mapping[str, float] | None) -> None:
    """The table of the primary family, its sentences, and whatever else the data allow to say."""
    from selkit.cli.stats_tables import verdict_table
    from selkit.report import grid_tables
    from selkit.report.verdicts import composite
    from selkit.stats import PRIMARY, sentence

    primary = [row for row in found.verdicts if row.family == PRIMARY]
    others = [row for row in found.verdicts if row.family != PRIMARY]
    names = {row.benchmark for row in primary}
    on = "" if len(names) > 1 else " in the composite" if weights else f" on {names.pop()}"
    console.table(f"verdicts{on} (differences in points of 100)", *verdict_table(primary))
    console.result("")
    for row in primary:
        console.result(sentence(row) + ".")
    if weights:
        console.result(composite(weights))
    _show_evidence(console, primary)
    console.result(_HEADINGS)
    if others:
        console.result("")
        console.table("benchmark by benchmark (exploratory)", *verdict_table(others, exploratory=True))
        _show_evidence(console, others)
    for table in grid_tables(found.tables()):
        console.result("")
        console.table(table.title.lower(), table.columns, table.rows)
        console.result(table.note)


_HEADINGS = (
    "The simultaneous interval holds for all tests of the family at once, of which 'tests' is the number. df are "
    "Satterthwaite's, p is two-sided and before Holm's correction. Run sd is the standard deviation between runs that "
    "the arm was judged with, beside the control's; detectable the difference that would be found with a power of 80%; "
    "to settle: runs of each arm, or items in the runs there are, that would settle an INCONCLUSIVE verdict."
)


def _show_evidence(console: Console, rows: Sequence[VerdictRow]) -> None:
    """What the table of verdicts has no room for, and what its flags mean."""
    from selkit.cli.stats_tables import evidence_table, flag_lines

    console.result("")
    console.table("what stands behind them", *evidence_table(rows))
    for line in flag_lines(rows):
        console.result(line)


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
