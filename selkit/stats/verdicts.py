"""A verdict: the word, the numbers behind it, and the sentence one can defend. Effects in points of 100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1
"""Version of the JSON form of verdicts."""

COMPOSITE = "composite"
"""The name of the weighted mean over benchmarks."""


class Word(StrEnum):
    """What selkit says of an arm; the first that holds, in this order."""

    INCOMPLETE = "INCOMPLETE"
    UNDERPOWERED = "UNDERPOWERED"
    BEATS = "BEATS"
    WORSE = "WORSE"
    EQUIVALENT = "EQUIVALENT"
    NOT_WORSE = "NOT_WORSE"
    INCONCLUSIVE = "INCONCLUSIVE"


class Flag(StrEnum):
    """What a reader must know about a verdict."""

    BORROWED = "borrowed_variance"
    """The arm has one run; the variance between runs is that of other arms."""
    BORROWED_CONTROL = "borrowed_control_variance"
    """The control has one run; the variance between runs is that of the selectors."""
    POOLED = "pooled_variance"
    """The arm's variance between runs is the mean over the selectors."""
    HETEROSCEDASTIC = "heteroscedastic"
    """The arm's runs differ far more than those of the others, so its own variance is used."""
    DEGENERATE = "degenerate"
    """The scores do not vary, so that nothing says how sure the difference is."""
    NO_RUN_VARIANCE = "no_run_variance"
    """Runs of both arms are identical: were the seeds honoured?"""
    INTERSECTED = "intersected"
    """Items that some run lacks were left out."""
    FEW_RUNS = "few_runs"
    """The arm has fewer than three runs."""
    FEW_CONTROL_RUNS = "few_control_runs"
    """The control has fewer runs than max(5, ceil(3 sqrt(m))) for m arms."""
    UNDETECTABLE = "undetectable"
    """No difference that is possible would be found with a power of 80%."""
    BELOW_MARGIN = "below_margin"
    """A real difference, but its 95% interval lies within the margin."""


@dataclass(frozen=True)
class VerdictRow:
    """selkit's word on one arm at one endpoint.

    Effects, intervals, standard deviations, margins and the detectable effect are in points of 100. What cannot be
    known is None. Intervals end where differences do: at 100 points to both sides, as scores lie between 0 and 1.

    Attributes:
        arm: The arm.
        control: What it is compared with.
        benchmark: The benchmark, or 'composite'.
        pool: The pool, where the table names one; likewise ``budget``, ``model`` (the base model) and ``recipe``.
        recipes: Recipes over which the effect is the mean; with several, ``recipe`` is None and ``recipes_alike``
            counts those under which the arm stands on the same side of the control.
        effect: The arm's mean score less the control's.
        ci_low: The unadjusted 95% interval, with ``ci_high``.
        simultaneous_low: The interval at 1 - alpha/family_size, with ``simultaneous_high``.
        equivalence_low: The 90% interval that the margin is held against, with ``equivalence_high``.
        se: Standard error of the effect; ``df`` its degrees of freedom.
        p: Two-sided p; ``p_holm`` adjusted within ``family``, which has ``family_size`` tests. ``p_bh`` is Benjamini
            and Hochberg's, in the secondary family only, where one looks for what might be worth a look.
        margin: The smallest difference that matters.
        verdict: The word; ``reason`` says why, or what it would take.
        items: Items that all runs have (over all benchmarks of a composite); ``clusters`` the groups they fall into.
        runs: Runs of the arm; ``control_runs`` of the control.
        arm_score: Mean score of the arm; ``control_score`` of the control.
        run_sd: Standard deviation between runs that the arm was judged with; ``control_run_sd`` the control's.
        mde: The difference that would be found with a power of 80%; None, with the flag 'undetectable', where none that
            is possible would.
        runs_to_settle: Runs per arm that bring the detectable difference down to the margin (only INCONCLUSIVE).
        items_to_settle: Items that do so in the runs there are.
        flags: What a reader must know, as values of :class:`Flag`.
    """

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    recipe: Any
    recipes: int
    recipes_alike: int | None
    effect: float | None
    ci_low: float | None
    ci_high: float | None
    simultaneous_low: float | None
    simultaneous_high: float | None
    equivalence_low: float | None
    equivalence_high: float | None
    se: float | None
    df: float | None
    p: float | None
    p_holm: float | None
    p_bh: float | None
    family: str
    family_size: int
    margin: float
    verdict: Word
    reason: str
    items: int
    clusters: int
    runs: int
    control_runs: int
    arm_score: float | None
    control_score: float | None
    run_sd: float | None
    control_run_sd: float | None
    mde: float | None
    runs_to_settle: int | None
    items_to_settle: int | None
    flags: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self) | {"verdict": str(self.verdict), "flags": [str(flag) for flag in self.flags]}


def to_json(rows: Sequence[VerdictRow]) -> dict[str, Any]:
    """``{"schema_version", "verdicts"}``."""
    return {"schema_version": SCHEMA_VERSION, "verdicts": [row.to_dict() for row in rows]}


def sentence(row: VerdictRow) -> str:
    """The verdict in one sentence that states its evidence."""
    evidence = f" ({', '.join(_evidence(row))}){_alike(row)}"
    where = _where(row)
    effect = None if row.effect is None else f"{abs(row.effect):.1f} points"
    match row.verdict:
        case Word.BEATS:
            return f"{row.arm} beats {row.control}{where} by {effect}{_measure(row)}{evidence}"
        case Word.WORSE:
            return f"{row.arm} is worse than {row.control}{where} by {effect}{_measure(row)}{evidence}"
        case Word.EQUIVALENT:
            return f"{row.arm} and {row.control} are within {points(row.margin)}{_measure(row)}{where}{evidence}"
        case Word.NOT_WORSE:
            claim = f"is not worse than {row.control} by as much as {points(row.margin)}"
            return f"{row.arm} {claim}{_measure(row)}{where}{evidence}"
        case _:
            word = str(row.verdict).lower()
            return f"{row.arm} against {row.control}{where} is {word}{_measure(row)}{evidence}: {row.reason}"


def _alike(row: VerdictRow) -> str:
    if row.recipes_alike is None:
        return ""
    counted = f"in {row.recipes_alike} of {row.recipes} recipes"
    # What is counted is the sign, which only these words claim.
    return f", {counted}" if row.verdict in (Word.BEATS, Word.WORSE) else f", with this sign {counted}"


def points(value: float) -> str:
    """'1 point', '2.5 points'."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def _where(row: VerdictRow) -> str:
    pool = "" if row.pool is None else f" on {row.pool}"
    budget = "" if row.budget is None else f" at {_number(row.budget)}"
    recipe = "" if row.recipe is None else f" with recipe {row.recipe}"
    model = "" if row.model is None else f" from {row.model}"
    return pool + budget + model + recipe


def _measure(row: VerdictRow) -> str:
    return " in the composite" if row.benchmark == COMPOSITE else f" in {row.benchmark}"


def _evidence(row: VerdictRow) -> list[str]:
    parts = []
    if row.effect is not None and row.verdict not in (Word.BEATS, Word.WORSE):
        parts.append(f"difference {_signed(row.effect)} points")
    if row.ci_low is not None:
        parts.append(f"95% interval {_signed(row.ci_low)} to {_signed(row.ci_high)}")
    if row.verdict in (Word.EQUIVALENT, Word.NOT_WORSE):
        parts.append(f"90% interval {_signed(row.equivalence_low)} to {_signed(row.equivalence_high)}")
    if row.p_holm is not None:
        parts.append(f"Holm p {_p(row.p_holm)}")
    items = f"{row.items:,} item{'' if row.items == 1 else 's'}"
    parts += [f"{row.runs} against {row.control_runs} runs", items]
    if Flag.BORROWED in row.flags and row.se is not None:
        parts.append("run variance borrowed from other arms")
    if Flag.HETEROSCEDASTIC in row.flags:
        parts.append("its runs differ far more than the others'")
    if Flag.BELOW_MARGIN in row.flags:
        parts.append(f"below the margin of {points(row.margin)}")
    return parts


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value + 0.0:.1f}".replace("-0.0", "0.0")


def _p(value: float) -> str:
    if value < 0.001:
        return "below 0.001"
    digits = 3 if value < 0.01 or 0.045 <= value < 0.055 else 2
    return f"{value:.{digits}f}"
