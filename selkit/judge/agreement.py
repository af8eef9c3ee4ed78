"""How far two sets of labels agree: accuracy, precision, recall, F1, Cohen's kappa, Pearson. Pure functions on counts.

A table of counts has the gold (or one judge's) labels in its rows and the other's in its columns; tables may be stacked
along leading axes. The figures are those of scikit-learn (``precision_recall_fscore_support``, ``cohen_kappa_score``),
whose formulas are quotients of such counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLASSES = (0, 1, 2)
"""A tie, the first response, the second one."""

NONE = len(CLASSES)
"""The column of what is no label."""


def count_pairs(rows: Sequence[int], columns: Sequence[int], size: int = NONE + 1) -> NDArray[np.int64]:
    """How often each pair of labels comes, shape (size, size)."""
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, (np.array(rows, int), np.array(columns, int)), 1)
    return table


def accuracy(table: Floats) -> Floats:
    """Share of the items with equal labels; NaN of none."""
    return _over(np.trace(table, axis1=-2, axis2=-1), table.sum((-2, -1)))


def precisions(table: Floats) -> Floats:
    """For each class the share of what was called so that is so; 0 where nothing was called so. Shape (..., 3)."""
    return _or_zero(_hits(table), table.sum(-2)[..., :NONE])


def recalls(table: Floats) -> Floats:
    """For each class the share of what is so that was called so; 0 where nothing is so. Shape (..., 3)."""
    return _or_zero(_hits(table), table.sum(-1)[..., :NONE])


def f1_scores(table: Floats) -> Floats:
    """For each class the harmonic mean of precision and recall; 0 where both are. Shape (..., 3)."""
    return _or_zero(2 * _hits(table), (table.sum(-2) + table.sum(-1))[..., :NONE])


def macro_precision(table: Floats) -> Floats:
    """The mean precision of the classes that come."""
    return _mean_over_classes(precisions(table), table)


def macro_recall(table: Floats) -> Floats:
    """The mean recall of the classes that come."""
    return _mean_over_classes(recalls(table), table)


def macro_f1(table: Floats) -> Floats:
    """The mean F1 of the classes that come."""
    return _mean_over_classes(f1_scores(table), table)


def weighted_f1(table: Floats) -> Floats:
    """The mean F1 of the classes, weighted by how often each is the gold label; NaN of none."""
    gold = table.sum(-1)[..., :NONE]
    return _over((f1_scores(table) * gold).sum(-1), gold.sum(-1))


def kappa(table: Floats) -> Floats:
    """Cohen's kappa: agreement beyond what the margins give by chance; NaN where chance alone gives full agreement."""
    total = table.sum((-2, -1))
    expected = _over((table.sum(-1) * table.sum(-2)).sum(-1), total * total)
    return _over(accuracy(table) - expected, 1 - expected)


def pearson(often: Floats, one: Floats, other: Floats) -> Floats:
    """Pearson's correlation of two judges' scores; NaN where one of them does not vary.

    Args:
        often: How often each pair of scores comes, shape (..., k).
        one: One judge's scores, shape (k,).
        other: The other's, shape (k,).
    """
    total = often.sum(-1)
    moments = [_over(often @ values, total) for values in (one, other, one * other, one * one, other * other)]
    mean_one, mean_other, mean_product, square_one, square_other = moments
    spread = np.maximum(square_one - mean_one**2, 0) * np.maximum(square_other - mean_other**2, 0)
    return _over(mean_product - mean_one * mean_other, np.sqrt(spread))


def _mean_over_classes(values: Floats, table: Floats) -> Floats:
    comes = ((table.sum(-1) + table.sum(-2))[..., :NONE] > 0).astype(np.float64)
    return _over((values * comes).sum(-1), comes.sum(-1))


def _hits(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)[..., :NONE]


def _over(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(whole) > 1e-12, np.divide(part, whole), np.nan)


def _or_zero(part: Floats, whole: Floats) -> Floats:
    return np.nan_to_num(_over(part, whole), nan=0.0)
