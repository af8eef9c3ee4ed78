"""Files of labels and verdicts: what people, or a judge, said of each comparison."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import DataError, Judgement
from selkit.judge.passes import item_scores, pass_from_row
from selkit.judge.rows import read_rows, text_of
from selkit.judge.rules import Rule, Verdict, by_comparison, verdict

KEYS = ("idx", "id")
"""What files join on."""

_SPELLINGS = {"0": 0, "tie": 0, "1": 1, "2": 2}
_SCORES = {0: 0.5, 1: 1.0, 2: 0.0}
_OF_VERDICT = {Verdict.TIE: 0, Verdict.WIN: 1, Verdict.LOSE: 2, Verdict.UNPARSED: None}
_ANNOTATOR = re.compile(r"annotator_?(\d+)")


@dataclass(frozen=True)
class Rows:
    """The rows of a file with the numbers of their lines."""

    path: Path
    rows: tuple[tuple[int, Mapping[str, Any]], ...]

    def has(self, key: str) -> bool:
        """Whether every row has the key."""
        return all(key in row for _, row in self.rows)

    @property
    def are_passes(self) -> bool:
        """Whether this is a passes.jsonl."""
        return self.has("order") and self.has("preference")


@dataclass(frozen=True)
class Labelled:
    """Labels by id: 0 a tie, 1 the first response, 2 the second; None where there is none.

    Args:
        labels: The label of each comparison.
        annotators: What each person said of it, in the order of the columns; empty where the file has one label alone.
        scores: The score of the first response in [0, 1]; None where there is no label.
    """

    labels: Mapping[str, int | None]
    annotators: Mapping[str, Sequence[int | None]]
    scores: Mapping[str, float | None]


def open_rows(path: Path) -> Rows:
    """Every row of a file. Raises DataError where it is missing, empty or malformed."""
    rows = tuple(read_rows(path))
    if not rows:
        raise DataError(f"{path} holds no row: there is nothing to compare")
    return Rows(path, rows)


def join_keys(files: Sequence[Rows]) -> list[str]:
    """The key of each file that rows are joined on: 'idx' or 'id', the same for all where they have one in common.

    Raises:
        DataError: A file has neither on every line.
    """
    for key in KEYS:
        if all(file.has(key) for file in files):
            return [key] * len(files)
    return [_own_key(file) for file in files]


def _own_key(file: Rows) -> str:
    for key in KEYS:
        if file.has(key):
            return key
    number = next(number for number, row in file.rows if not any(key in row for key in KEYS))
    raise DataError(f"{file.path}, line {number}: there is neither 'idx' nor 'id': rows are joined on one of the two")


def human_labels(file: Rows, key: str) -> Labelled:
    """The column ``label``, or the label that most of annotator1, annotator2, ... give; a passes.jsonl is read as such.

    Where several labels share the lead there is none.

    Raises:
        DataError: There is neither, or a label is none of 0, 1, 2 and tie, or an id comes twice.
    """
    if file.are_passes:
        return pass_labels(file)
    columns = sorted((name for name in file.rows[0][1] if _ANNOTATOR.fullmatch(name)), key=_number)
    if not columns and not file.has("label"):
        raise DataError(f"{file.path} has neither a 'label' nor annotator1, annotator2, ... on every line")
    labels: dict[str, int | None] = {}
    annotators: dict[str, tuple[int | None, ...]] = {}
    for number, row in file.rows:
        name = _own_id(labels, row, key, file.path, number)
        given = [_label(row.get(column), file.path, number) for column in columns]
        labels[name] = _label(row["label"], file.path, number) if "label" in row else majority(given)
        annotators[name] = tuple(given)
    return Labelled(labels, annotators if columns else {}, _scores(labels))


def judge_verdicts(file: Rows, key: str, column: str | None = None) -> Labelled:
    """A judge's verdicts: a column of 0, 1, 2 or tie, in which anything else is unparsed, or a passes.jsonl.

    Args:
        file: The rows.
        key: What rows are told apart by.
        column: The column; by default 'verdict', or the only one whose name ends in '_result'.

    Raises:
        DataError: There is no such column, or an id comes twice.
    """
    if file.are_passes:
        return pass_labels(file)
    column = column or _verdict_column(file)
    labels: dict[str, int | None] = {}
    for number, row in file.rows:
        if column not in row:
            raise DataError(f"{file.path}, line {number}: the column {column!r} is missing: it holds the verdicts")
        labels[_own_id(labels, row, key, file.path, number)] = as_label(row[column])
    return Labelled(labels, {}, _scores(labels))


def pass_labels(file: Rows) -> Labelled:
    """The verdicts of a passes.jsonl: under ``net`` where both orders were judged, else those of the single pass."""
    try:
        passes: list[Judgement] = [pass_from_row(row) for _, row in file.rows]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{file.path} is not a passes.jsonl of selkit ({error}): judge again") from error
    _check_passes(file, passes)
    labels: dict[str, int | None] = {}
    for name, ones in by_comparison(passes).items():
        rule: Rule = "single" if len(ones) == 1 else "net"
        labels[name] = _OF_VERDICT[verdict(ones, rule)]
    return Labelled(labels, {}, item_scores(passes))


def _check_passes(file: Rows, passes: Sequence[Judgement]) -> None:
    """Refuses the passes of two judges in one file, and a pass that comes twice: neither makes one verdict."""
    judges = sorted({str(row.get("judge", "")) for _, row in file.rows})
    if len(judges) > 1:
        raise DataError(
            f"{file.path} holds passes of {len(judges)} judges ({', '.join(judges)}): give each judge a file of its own"
        )
    seen: dict[tuple[str, str], int] = {}
    for (number, _), one in zip(file.rows, passes, strict=True):
        if (one.id, one.order) in seen:
            raise DataError(
                f"{file.path}, line {number}: the pass {one.order!r} of {one.id!r} stands already in line "
                f"{seen[one.id, one.order]}: keep one of the two"
            )
        seen[one.id, one.order] = number


def as_label(value: Any) -> int | None:
    """0, 1 or 2 as a number or in words ('tie', in any case); None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # tables with gaps have their whole numbers as floats
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return _SPELLINGS.get(str(value).strip().lower())


def majority(labels: Iterable[int | None]) -> int | None:
    """The label given most often; None where several share the lead or there is none."""
    ranked = Counter(label for label in labels if label is not None).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _label(value: Any, path: Path, number: int) -> int | None:
    if value is None:
        return None
    if (label := as_label(value)) is None:
        raise DataError(f"{path}, line {number}: the label {value!r:.40} is none of 0, 1, 2 and tie")
    return label


def _own_id(seen: Mapping[str, Any], row: Mapping[str, Any], key: str, path: Path, number: int) -> str:
    name = text_of(row, key, path, number)
    if name in seen:
        raise DataError(f"{path}, line {number}: the {key} {name!r} comes twice: keep one of the two")
    return name


def _verdict_column(file: Rows) -> str:
    if file.has("verdict"):
        return "verdict"
    found = [name for name in file.rows[0][1] if name.endswith("_result")]
    if len(found) != 1:
        which = f"{len(found)} ({', '.join(found)})" if found else "none"
        raise DataError(
            f"{file.path} has no column 'verdict', and {which} whose name ends in '_result': name it with --column"
        )
    return found[0]


def _scores(labels: Mapping[str, int | None]) -> dict[str, float | None]:
    return {name: None if label is None else _SCORES[label] for name, label in labels.items()}


def _number(column: str) -> int:
    found = _ANNOTATOR.fullmatch(column)
    return int(found[1]) if found else 0
