"""What the flags of verdicts say, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FLAGS = {
    "borrowed_variance": "the arm has one run, and how much its runs would differ is taken from the other arms",
    "borrowed_control_variance": "the control has one run, and how much its runs would differ is taken from the arms",
    "pooled_variance": "how much the arm's runs differ is the mean over all selectors with two runs or more",
    "heteroscedastic": "the arm's runs differ far more than those of the others, so its own variance is used",
    "degenerate": "the scores do not vary, so nothing says how sure the difference is",
    "no_run_variance": "the runs of both arms are identical, as if their seeds made no difference",
    "intersected": "items that some run lacks are left out",
    "few_runs": "the arm has fewer than three runs",
    "few_control_runs": "the control has fewer runs than 5, or than 3 times the square root of the number of arms",
    "undetectable": "no difference that is possible would be found with a power of 80%",
    "below_margin": "a real difference, but its 95% interval lies within the margin",
    "judge_missingness": (
        "over 2% of the comparisons of the arm or of its control have no verdict, or the two shares differ by more "
        "than chance"
    ),
    "judge_unfit": "a canary fooled the judge",
    "broken_answers": "most answers of the arm or of its control are empty, or nearly all say the same",
}
"""Every flag that a verdict may have, with what it says."""


def spelt(flag: str) -> str:
    """A flag as tables write it."""
    return flag.replace("_", " ")


def raised(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The flags that any of these verdicts has, in the order of :data:`FLAGS`; ones that it lacks come last."""
    found = dict.fromkeys(flag for row in rows for flag in row["flags"])
    return [*(flag for flag in FLAGS if flag in found), *(flag for flag in found if flag not in FLAGS)]


def explained(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence on each flag that any of these verdicts has, without its full stop."""
    return [f"{spelt(flag)}: {FLAGS[flag]}" for flag in raised(rows) if flag in FLAGS]
