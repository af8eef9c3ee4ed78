"""Training data of a scorer: CSV files of texts with scores, where each two successive rows are a pair."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from selkit.api import DataError
from selkit_car.texts import Template, parts

_COLUMNS = ("src", "score")


class Labelled(NamedTuple):
    """A text and its score: 0 for an original row, 1 for one that an expert revised."""

    text: str
    score: float


class Pair(NamedTuple):
    """An original text and what an expert made of it."""

    worse: str
    better: str


class Triplet(NamedTuple):
    """The revised anchor, the revised answer and the original answer, as Comet Instruct is trained on them."""

    anchor: str
    better: str
    worse: str


@dataclass(frozen=True)
class ScoredTexts:
    """The rows of one file.

    Args:
        name: The file's name, for errors.
        rows: Its rows.
    """

    name: str
    rows: tuple[Labelled, ...]

    def pairs(self) -> list[Pair]:
        """Each two successive rows as a pair.

        Raises:
            DataError: A row has no partner, or two partners do not have the scores 0 and 1.
        """
        if len(self.rows) % 2:
            raise DataError(f"{self.name} has {len(self.rows)} rows, and pairs need an even number: complete it")
        found = []
        for number, (first, second) in enumerate(zip(self.rows[::2], self.rows[1::2], strict=True)):
            if {first.score, second.score} != {0.0, 1.0}:
                raise DataError(
                    f"rows {2 * number + 1} and {2 * number + 2} of {self.name} are no pair: one score must be 0 and "
                    f"the other 1, not {first.score:g} and {second.score:g}"
                )
            worse, better = sorted((first, second), key=lambda row: row.score)
            found.append(Pair(worse.text, better.text))
        return found

    @property
    def template(self) -> Template:
        """Which of the templates the texts follow: whether every one names its input."""
        named = all(" Input: " in row.text for row in self.rows)
        return "always-input" if named else "omit-empty-input"


def read_scored(path: Path) -> ScoredTexts:
    """The rows of a CSV file with the columns ``src`` and ``score``.

    Raises:
        DataError: The file is missing, malformed or empty, or a score is no number.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path} has no column {missing[0]!r}: it needs the columns src and score")
            rows = tuple(_labelled(row, path, number) for number, row in enumerate(reader, 1))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a CSV file with src and score") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8 ({error}): give one with src and score") from error
    if not rows:
        raise DataError(f"{path} has no rows: give a CSV file with src and score")
    return ScoredTexts(path.name, rows)


def triplets(pairs: Sequence[Pair]) -> list[Triplet]:
    """The pairs cut into anchors and answers; the anchor is the revised one, as in the authors' files.

    Raises:
        DataError: A text has no response.
    """
    found = []
    for pair in pairs:
        anchor, better = parts(pair.better)
        found.append(Triplet(anchor, better, parts(pair.worse)[1]))
    return found


def _labelled(row: dict[str, str], path: Path, number: int) -> Labelled:
    try:
        score = float(row["score"])
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score) or row["src"] is None:
        raise DataError(f"row {number} of {path} has no src or a score that is no number: {row['score']!r}")
    return Labelled(row["src"], score)
