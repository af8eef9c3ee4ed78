"""Published counts of wins, ties and losses: what they say on their items alone.

A pairwise evaluation of one training run each says nothing on how much runs differ. What its counts do say is how sure
one can be of these two models on prompts like these, which is the most that such a conclusion can rest on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from selkit.api.errors import DataError, MissingExtra, UsageError
from selkit.stats import inference
from selkit.stats.table import read_arrow
from selkit.stats.verdicts import SCHEMA_VERSION

NUMBERS = ("win", "tie", "lose", "n", "net", "ws")
"""The columns that hold numbers; all others are labels."""

TIES = (0.2, 0.3)
"""The shares of ties that are assumed, one after the other, where only wins less losses were published."""


@dataclass(frozen=True)
class Counts:
    """One comparison. Where ties had to be assumed, ``ties`` is their share and ``scenario`` numbers the assumption."""

    labels: Mapping[str, str]
    win: int
    tie: int
    lose: int
    ties: float | None = None
    scenario: int = 0

    @property
    def n(self) -> int:
        """Comparisons in all."""
        return self.win + self.tie + self.lose


@dataclass(frozen=True)
class CountRow:
    """What one comparison says on its items alone.

    Attributes:
        labels: The columns that say what was compared.
        win: Comparisons won; ``tie`` and ``lose`` likewise, ``n`` all of them.
        assumed_ties: The share of ties that was assumed, None where they were counted. Where the published number
            leaves no room for so many, it is the largest share that it allows.
        ws: Winning score 1 + (win - lose) / n.
        effect: Win rate less 50, a tie counting half, in points of 100; ``ci_low`` to ``ci_high`` its 95% interval over
            items, None where all outcomes are the same.
        p: Two-sided p of a win rate of 50 by Student's t; ``p_holm`` over all comparisons of the file.
        p_sign: The exact sign test: wins against losses, ties left out.
        stands: Whether the 95% interval leaves 0 out; ``stands_holm`` whether ``p_holm`` is below alpha.
        needed: The smallest difference win - lose that would stand with so many ties; None where none would.
    """

    labels: Mapping[str, str]
    win: int
    tie: int
    lose: int
    n: int
    assumed_ties: float | None
    ws: float
    effect: float
    ci_low: float | None
    ci_high: float | None
    p: float | None
    p_holm: float | None
    p_sign: float
    stands: bool
    stands_holm: bool
    needed: int | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it: the labels beside the numbers."""
        numbers = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "labels"}
        return {"labels": dict(self.labels), **numbers}


def read_counts(path: str | Path, ties: Sequence[float] = TIES) -> list[Counts]:
    """The comparisons in a Parquet or CSV file.

    A row has ``win``, ``tie`` and ``lose``, and may have ``n``; or it has ``n`` and either ``net`` (wins less losses)
    or ``ws`` (winning score 1 + net / n), and stands there once for every assumed share of ties.

    Raises:
        DataError: The file is no such table, or a row contradicts itself.
        UsageError: A share of ties is not from 0 to 1.
    """
    for share in ties:
        if not 0 <= share < 1:
            raise UsageError(f"a share of ties is {share:g}: it must be 0 or more and below 1")
    path = Path(path)
    return from_table(read_arrow(path, "win, tie, lose and n"), ties, source=path.name)


def from_table(table: pa.Table, ties: Sequence[float] = TIES, *, source: str = "the counts") -> list[Counts]:
    """As :func:`read_counts`, from Arrow columns."""
    have = set(table.column_names)
    if not {"win", "tie", "lose"} <= have and not ("n" in have and have & {"net", "ws"}):
        raise DataError(
            f"{source} needs the columns win, tie and lose, or n with net (wins less losses) or ws (winning score); it "
            f"has {', '.join(table.column_names) or 'none'}"
        )
    if not table.num_rows:
        raise DataError(f"{source} has no rows, so there is nothing to say")
    counts: list[Counts] = []
    for position, row in enumerate(table.to_pylist()):
        where = f"{source}, row {position + 1}"
        labels = {name: str(value) for name, value in row.items() if name not in NUMBERS and value is not None}
        numbers = {name: _number(row.get(name), name, where) for name in NUMBERS}
        counts += _counted(labels, numbers, where) or _assumed(labels, numbers, ties, where)
    return counts


def _number(value: Any, name: str, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (name not in ("net", "ws") and number < 0):
        raise DataError(f"{where}: {name} is {value!r}, which is no count")
    if name != "ws" and number != round(number):
        raise DataError(f"{where}: {name} is {value!r}, and counts are whole numbers")
    return number


def _counted(labels: Mapping[str, str], numbers: Mapping[str, float | None], where: str) -> list[Counts]:
    win, tie, lose, n = (numbers[name] for name in ("win", "tie", "lose", "n"))
    if win is None or tie is None or lose is None:
        return []
    if n is not None and n != win + tie + lose:
        raise DataError(
            f"{where}: win {win:g}, tie {tie:g} and lose {lose:g} add up to {win + tie + lose:g}, not {n:g}"
        )
    if win + tie + lose < 1:
        raise DataError(f"{where}: there is no comparison")
    return [Counts(labels, int(win), int(tie), int(lose))]


def _assumed(
    labels: Mapping[str, str], numbers: Mapping[str, float | None], ties: Sequence[float], where: str
) -> list[Counts]:
    n, net, score = numbers["n"], numbers["net"], numbers["ws"]
    if n is None or n < 1 or (net is None and score is None):
        raise DataError(f"{where}: give win, tie and lose, or n with net or ws")
    difference = round(net) if net is not None else round((float(score or 0) - 1) * n)
    if abs(difference) > n:
        raise DataError(f"{where}: wins less losses are {difference}, more than the {n:g} comparisons")
    return [_split(labels, int(n), difference, share, scenario) for scenario, share in enumerate(ties, 1)]


def _split(labels: Mapping[str, str], n: int, difference: int, share: float, scenario: int) -> Counts:
    """Wins, ties and losses with about this share of ties: as many as the difference leaves room for."""
    tie = min(round(share * n), n - abs(difference))
    tie += (n - tie - difference) % 2 if tie < n - abs(difference) else 0
    win = (n - tie + difference) // 2
    return Counts(labels, win, tie, n - tie - win, tie / n, scenario)


def count_rows(counts: Sequence[Counts], alpha: float = 0.05) -> list[CountRow]:
    """Intervals and tests for every comparison, in order.

    The interval is scipy's one-sample t over the items' outcomes (1, 0.5, 0), so that it holds where items are drawn
    from prompts like these and nothing else varies.

    Raises:
        UsageError: alpha is out of range.
        MissingExtra: scipy is not installed.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha:g}: it must lie between 0 and 1")
    effect = np.array([(one.win - one.lose) / (2 * one.n) for one in counts])
    se = np.array([_se(one) for one in counts])
    df = np.array([max(one.n - 1.0, 1.0) for one in counts])
    p = inference.p_value(effect, se, df)
    half = inference.half_width(se, df, 0.95)
    # A win rate lies between 0 and 100.
    spans = [inference.clipped(float(e - h), float(e + h), 0.5) for e, h in zip(effect, half, strict=True)]
    adjusted = np.full(len(counts), np.nan)
    scenarios = np.array([one.scenario for one in counts])
    for scenario in set(scenarios.tolist()):
        mine = scenarios == scenario
        adjusted[mine] = inference.holm(p[mine])
    return [
        CountRow(
            labels=one.labels,
            win=one.win,
            tie=one.tie,
            lose=one.lose,
            n=one.n,
            assumed_ties=one.ties,
            ws=1 + (one.win - one.lose) / one.n,
            effect=100 * float(effect[row]),
            ci_low=_known(100 * spans[row][0]),
            ci_high=_known(100 * spans[row][1]),
            p=_known(p[row]),
            p_holm=_known(adjusted[row]),
            p_sign=_sign(one),
            stands=bool(p[row] < 0.05),
            stands_holm=bool(adjusted[row] < alpha),
            needed=_needed(one),
        )
        for row, one in enumerate(counts)
    ]


def _se(one: Counts) -> float:
    if one.n < 2:
        return 0.0
    net = (one.win - one.lose) / one.n
    spread = ((one.win + one.lose) / one.n - net**2) / 4
    return math.sqrt(max(spread, 0.0) / (one.n - 1))


def _sign(one: Counts) -> float:
    if one.win + one.lose == 0:
        return 1.0
    try:
        from scipy.stats import binomtest
    except ImportError as error:
        raise MissingExtra.of("statistics", "eval") from error
    return float(binomtest(one.win, one.win + one.lose).pvalue)


def _needed(one: Counts) -> int | None:
    """The smallest win - lose whose interval leaves 0 out, with the ties there are; None where none does."""
    decided = one.win + one.lose
    quantile = float(inference.quantile(0.975, max(one.n - 1.0, 1.0)))

    def stands(win: int) -> bool:
        other = Counts({}, win, one.tie, decided - win)
        return (2 * win - decided) / (2 * one.n) > quantile * _se(other) > 0

    win = inference.smallest(stands, (decided + 1) // 2, decided)
    return None if win is None else 2 * win - decided


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def counts_json(rows: Sequence[CountRow]) -> dict[str, Any]:
    """``{"schema_version", "counts"}``."""
    return {"schema_version": SCHEMA_VERSION, "counts": [row.to_dict() for row in rows]}
