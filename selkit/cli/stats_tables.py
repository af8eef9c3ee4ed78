"""The tables of ``selkit stats`` for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from selkit.stats import Flag

if TYPE_CHECKING:
    from selkit.stats import VerdictRow
    from selkit.stats.counts import CountRow


PLACE = ("pool", "budget", "model", "recipe")


def verdict_table(rows: Sequence[VerdictRow], *, exploratory: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the table; places that no row names, and a benchmark that is the only one, are left out.

    ``exploratory`` adds Benjamini and Hochberg's p.
    """
    places = _places(rows)
    recipes = ["recipes"] if any(row.recipes > 1 for row in rows) else []
    middle = ["BH p"] if exploratory else []
    headings = ["arm", *places, *recipes, "difference", "95% interval", *middle, "Holm p", "runs", "items"]
    cells = [
        [
            _name(row, rows),
            *(_cell(row, name) for name in places),
            *(str(row.recipes) for _ in recipes),
            _signed(row.effect),
            _interval(row.ci_low, row.ci_high),
            *(_p(row.p_bh) for _ in middle),
            _p(row.p_holm),
            f"{row.runs} / {row.control_runs}",
            str(row.items),
            str(row.verdict),
        ]
        for row in rows
    ]
    return [*headings, "verdict"], cells


def evidence_table(rows: Sequence[VerdictRow]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of what stands behind every verdict; what no row has is left out."""
    places = _places(rows)
    found = {
        "simultaneous": [_interval(row.simultaneous_low, row.simultaneous_high) for row in rows],
        "df": [_number(row.df, 1) for row in rows],
        "p": [_p(row.p) for row in rows],
        "tests": [str(row.family_size) for row in rows],
        "run sd": [_number(row.run_sd, 2) for row in rows],
        "control's": [_number(row.control_run_sd, 2) for row in rows],
        "detectable": ["none" if Flag.UNDETECTABLE in row.flags else _number(row.mde, 1) for row in rows],
        "to settle": [_settling(row) for row in rows],
    }
    kept = {name: cells for name, cells in found.items() if any(cells)}
    lines = [
        [_name(row, rows), *(_cell(row, name) for name in places), *cells]
        for row, *cells in zip(rows, *kept.values(), strict=True)
    ]
    return ["arm", *places, *kept], lines


def flag_lines(rows: Sequence[VerdictRow]) -> list[str]:
    """A line for every flag that any of the rows has: its name, the rows, and what it says."""
    from selkit.report.flags import FLAGS, raised, spelt

    told = []
    for flag in raised([row.to_dict() for row in rows]):
        having = [row for row in rows if flag in row.flags]
        names = "all" if len(having) == len(rows) > 1 else ", ".join(_spelt(row, rows) for row in having)
        told.append(f"{spelt(flag)} ({names}): {FLAGS[flag]}.")
    return told


def _places(rows: Sequence[VerdictRow]) -> list[str]:
    """What has a column: places that some row names, and the benchmark where there are several."""
    several = ["benchmark"] if len({row.benchmark for row in rows}) > 1 else []
    return [*several, *(name for name in PLACE if any(getattr(row, name) is not None for row in rows))]


def _name(row: VerdictRow, rows: Sequence[VerdictRow]) -> str:
    return row.arm if row.control == rows[0].control else f"{row.arm} (against {row.control})"


def _cell(row: VerdictRow, name: str) -> str:
    return "" if getattr(row, name) is None else str(getattr(row, name))


def _spelt(row: VerdictRow, rows: Sequence[VerdictRow]) -> str:
    """The arm, with what tells its rows apart."""
    apart = [name for name in _places(rows) if len({getattr(one, name) for one in rows}) > 1]
    return " ".join([_name(row, rows), *filter(None, (_cell(row, name) for name in apart))])


def _settling(row: VerdictRow) -> str:
    ways = [f"{row.runs_to_settle:,} runs"] if row.runs_to_settle is not None else []
    ways += [f"{row.items_to_settle:,} items"] if row.items_to_settle is not None else []
    return " or ".join(ways)


def counts_table(rows: Sequence[CountRow]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of published counts, the labels first."""
    labels = list(dict.fromkeys(name for row in rows for name in row.labels))
    assumed = ["ties assumed"] if any(row.assumed_ties is not None for row in rows) else []
    cells = [
        [
            *(row.labels.get(name, "") for name in labels),
            *(["" if row.assumed_ties is None else f"{100 * row.assumed_ties:.0f}%"] * len(assumed)),
            str(row.win),
            str(row.tie),
            str(row.lose),
            f"{row.ws:.3f}",
            _signed(row.effect),
            _interval(row.ci_low, row.ci_high),
            _p(row.p_holm),
            _p(row.p_sign),
            "" if row.needed is None else str(row.needed),
            _stands(row),
        ]
        for row in rows
    ]
    numbers = ["win", "tie", "lose", "WS", "points", "95% interval", "Holm p", "sign test", "needed", "stands"]
    return [*labels, *assumed, *numbers], cells


def _stands(row: CountRow) -> str:
    """Whether the difference stands on its items, with Holm's correction or alone."""
    if row.p is None:
        return "not known"
    return "yes" if row.stands_holm else "alone" if row.stands else "no"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    """A difference with its sign and one decimal; never -0.0."""
    return "" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"
