"""Can a judge be trusted? Its verdicts against human labels, and two judges against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selkit.api import DataError
from selkit.judge import agreement
from selkit.judge.agreement import CLASSES, NONE, count_pairs
from selkit.judge.intervals import bootstrap_table, wilson
from selkit.judge.labels import Labelled, human_labels, join_keys, judge_verdicts, open_rows

Unparsed = Literal["wrong", "tie", "drop"]

RATES = {
    "accuracy": agreement.accuracy,
    "macro_precision": agreement.macro_precision,
    "macro_recall": agreement.macro_recall,
    "macro_f1": agreement.macro_f1,
    "weighted_f1": agreement.weighted_f1,
    "kappa": agreement.kappa,
}
"""Rates of a table of labels (rows) against verdicts (columns), by name."""


@dataclass(frozen=True)
class Joined:
    """Two files joined: the ids that both have, and how many only one of them has."""

    ids: tuple[str, ...]
    first_only: tuple[str, ...]
    second_only: tuple[str, ...]

    def to_dict(self) -> dict[str, int]:
        """How many were left out on either side."""
        return {"labels_only": len(self.first_only), "verdicts_only": len(self.second_only)}


@dataclass(frozen=True)
class Audit:
    """A judge against labels.

    Args:
        table: Counts with the labels 0 (tie), 1, 2 in the rows; the last column holds verdicts that are none of the
            three. Shape (4, 4); the last row is empty.
        unparsed: For each label how many verdicts were none of the three, however they were counted.
        unparsed_as: How they were counted.
        without_label: Rows that were left out because most people agree on no label.
        joined: Which rows found each other.
        annotators: For each pair of annotators the counts of their labels, shape (4, 4).
    """

    table: NDArray[np.int64]
    unparsed: tuple[int, ...]
    unparsed_as: Unparsed
    without_label: int
    joined: Joined
    annotators: tuple[NDArray[np.int64], ...]

    @property
    def n(self) -> int:
        """Items counted."""
        return int(self.table.sum())

    def rates(self) -> dict[str, float | None]:
        """The rates by name; None where one is not defined."""
        return {name: _number(rate(self.table.astype(float))) for name, rate in RATES.items()}

    def intervals(self) -> dict[str, Any]:
        """95% intervals: Wilson's for accuracy, else the percentile bootstrap over items with a fixed seed."""
        spans: dict[str, Any] = {name: bootstrap_table(self.table, rate) for name, rate in RATES.items()}
        spans["accuracy"] = wilson(int(np.trace(self.table)), self.n)
        spans["annotator_kappa"] = [bootstrap_table(table, agreement.kappa) for table in self.annotators]
        return spans

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON writes it: rates as numbers, ``confusion`` with labels in the rows, in order 0, 1, 2."""
        return {
            "n": self.n,
            **self.rates(),
            "confusion": self.table[:NONE, :NONE].tolist(),
            "annotator_kappa": [_number(agreement.kappa(table.astype(float))) for table in self.annotators],
            "classes": list(CLASSES),
            "unparsed": sum(self.unparsed),
            "unparsed_as": self.unparsed_as,
            "unparsed_by_label": list(self.unparsed),
            "without_label": self.without_label,
            "unmatched": self.joined.to_dict(),
            "intervals": self.intervals(),
        }


@dataclass(frozen=True)
class Agreement:
    """Two judges on the same comparisons, over those on which both have a verdict.

    Args:
        table: Counts with one judge's labels in the rows and the other's in the columns, shape (4, 4).
        scores: Both judges' scores of the first response, shape (n, 2).
        left_out: Comparisons on which one of them has no verdict.
        joined: Which rows found each other.
    """

    table: NDArray[np.int64]
    scores: NDArray[np.float64]
    left_out: int
    joined: Joined

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON writes it."""
        pairs, often = np.unique(self.scores, axis=0, return_counts=True)
        one, other = pairs[:, 0], pairs[:, 1]
        n = int(self.table.sum())
        return {
            "n": n,
            "agreement": _number(agreement.accuracy(self.table.astype(float))),
            "kappa": _number(agreement.kappa(self.table.astype(float))),
            "pearson": _number(agreement.pearson(often.astype(float), one, other)),
            "confusion": self.table[:NONE, :NONE].tolist(),
            "left_out": self.left_out,
            "unmatched": {"first_only": len(self.joined.first_only), "second_only": len(self.joined.second_only)},
            "intervals": {
                "agreement": wilson(int(np.trace(self.table)), n),
                "kappa": bootstrap_table(self.table, agreement.kappa),
                "pearson": bootstrap_table(often, lambda draws: agreement.pearson(draws, one, other)),
            },
        }


def audit_files(labels: Path, verdicts: Path, *, unparsed: Unparsed = "wrong", column: str | None = None) -> Audit:
    """A file of verdicts against a file of labels, joined on idx or id.

    Args:
        labels: Rows with ``label``, or with annotator1, annotator2, ...; or a passes.jsonl, such as people's.
        verdicts: Rows with the judge's verdicts, or a passes.jsonl.
        unparsed: What a verdict that is none of 0, 1, 2 and tie counts as: never right, a tie, or left out.
        column: The column of verdicts; by default 'verdict', or the only one whose name ends in '_result'.

    Raises:
        DataError: A file is missing or malformed, or the two have no row in common.
    """
    files = open_rows(labels), open_rows(verdicts)
    keys = join_keys(files)
    return audit(human_labels(files[0], keys[0]), judge_verdicts(files[1], keys[1], column), unparsed)


def audit(human: Labelled, judge: Labelled, unparsed: Unparsed = "wrong") -> Audit:
    """A judge's verdicts against labels. Raises DataError where they have no comparison in common."""
    joined = join(human.labels, judge.labels)
    known = [(name, gold) for name in joined.ids if (gold := human.labels[name]) is not None]
    pairs = [(gold, judge.labels[name]) for name, gold in known]
    kept = [(gold, said) for gold, said in pairs if said is not None or unparsed != "drop"]
    instead = 0 if unparsed == "tie" else NONE
    table = count_pairs([gold for gold, _ in kept], [instead if said is None else said for _, said in kept])
    missing = tuple(sum(said is None and gold == label for gold, said in pairs) for label in CLASSES)
    return Audit(table, missing, unparsed, len(joined.ids) - len(known), joined, annotator_tables(human.annotators))


def agree_files(first: Path, second: Path, *, column: str | None = None) -> Agreement:
    """Two files of verdicts on the same comparisons. Raises DataError as :func:`audit_files`."""
    files = open_rows(first), open_rows(second)
    one, other = (judge_verdicts(file, key, column) for file, key in zip(files, join_keys(files), strict=True))
    return agree(one, other)


def agree(one: Labelled, other: Labelled) -> Agreement:
    """Two judges on the same comparisons. Raises DataError where they have none in common."""
    joined = join(one.labels, other.labels)
    both = [name for name in joined.ids if one.labels[name] is not None and other.labels[name] is not None]
    table = count_pairs([one.labels[name] or 0 for name in both], [other.labels[name] or 0 for name in both])
    scores = np.array([(one.scores[name], other.scores[name]) for name in both], float).reshape(-1, 2)
    return Agreement(table, scores, len(joined.ids) - len(both), joined)


def join(first: Mapping[str, Any], second: Mapping[str, Any]) -> Joined:
    """The ids that both have, in the order of the first.

    Raises:
        DataError: There is none.
    """
    ids = tuple(name for name in first if name in second)
    if not ids:
        raise DataError("the files have no idx or id in common: are they about the same comparisons?")
    return Joined(ids, tuple(n for n in first if n not in second), tuple(n for n in second if n not in first))


def annotator_tables(annotators: Mapping[str, Sequence[int | None]]) -> tuple[NDArray[np.int64], ...]:
    """For each pair of annotators, in order (1, 2), (1, 3), ..., the counts of their labels where both gave one."""
    people = max((len(labels) for labels in annotators.values()), default=0)
    return tuple(_pair_table(annotators.values(), *pair) for pair in combinations(range(people), 2))


def _pair_table(annotators: Iterable[Sequence[int | None]], one: int, other: int) -> NDArray[np.int64]:
    pairs = [(a, b) for labels in annotators if (a := labels[one]) is not None and (b := labels[other]) is not None]
    return count_pairs([a for a, _ in pairs], [b for _, b in pairs])


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
