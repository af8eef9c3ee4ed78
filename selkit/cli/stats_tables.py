"""The tables of ``selkit stats`` for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selkit.stats import VerdictRow
    from selkit.stats.counts import CountRow


PLACE = ("pool", "budget", "model", "recipe")


def verdict_table(rows: Sequence[VerdictRow], *, exploratory: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the table; places that no row names are left out.

    ``exploratory`` shows Benjamini and Hochberg's p in place of the simultaneous interval.
    """
    places = [name for name in PLACE if any(getattr(row, name) is not None for row in rows)]
    recipes = ["recipes"] if any(row.recipes > 1 for row in rows) else []
    middle = "BH p" if exploratory else "simultaneous"
    headings = ["arm", "benchmark", *places, *recipes, "difference", "95% interval", middle, "Holm p", "runs", "items"]
    cells = [
        [
            row.arm if row.control == rows[0].control else f"{row.arm} (against {row.control})",
            row.benchmark,
            *("" if getattr(row, name) is None else str(getattr(row, name)) for name in places),
            *(str(row.recipes) for _ in recipes),
            "" if row.effect is None else f"{row.effect:+.1f}",
            _interval(row.ci_low, row.ci_high),
            _p(row.p_bh) if exploratory else _interval(row.simultaneous_low, row.simultaneous_high),
            _p(row.p_holm),
            f"{row.runs} / {row.control_runs}",
            str(row.items),
            str(row.verdict),
        ]
        for row in rows
    ]
    return [*headings, "verdict"], cells


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
            f"{row.effect:+.1f}",
            _interval(row.ci_low, row.ci_high),
            _p(row.p_holm),
            _p(row.p_sign),
            "" if row.needed is None else str(row.needed),
            "yes" if row.stands_holm else "alone" if row.stands else "no",
        ]
        for row in rows
    ]
    numbers = ["win", "tie", "lose", "WS", "points", "95% interval", "Holm p", "sign test", "needed", "stands"]
    return [*labels, *assumed, *numbers], cells


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.1f} to {high:+.1f}"
