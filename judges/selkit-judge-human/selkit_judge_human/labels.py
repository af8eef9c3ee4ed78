"""Reading labels back: every row is checked against the key, and what is wrong is named by file and row."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selkit.api import DataError
from selkit_judge_human.cells import restore, row_check
from selkit_judge_human.design import KEY, Row
from selkit_judge_human.sheets import COLUMNS

LABELS = ("1", "2", "tie")
_NEEDED = frozenset(COLUMNS) - {"comment"}
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file of labels that cannot be used.

    ``line`` is the row's number in the spreadsheet, the heading being 1 (0: it is about the file as a whole); ``row``
    is the name of the row, where that is known.
    """

    file: str
    line: int
    reason: str
    row: str = ""

    def __str__(self) -> str:
        return f"{self.file}, row {self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass(frozen=True)
class Labels:
    """What came back: label by annotator by row name, and what cannot be used."""

    by_row: Mapping[str, Mapping[int, str]]
    problems: Sequence[Problem]

    def trouble(self, row: str) -> str:
        """Why a row has no usable label."""
        reasons = (problem.reason for problem in self.problems if problem.row == row)
        return next(reasons, "no label")


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    number: int
    cells: Mapping[str, str]


def label_files(given: Sequence[Path]) -> list[Path]:
    """The files that ``given`` names: files as they are, and of a folder the CSV files in it or else in its 'send'.

    The folder of the export counts only where nothing else is given: its own sheets are blank then.

    Raises:
        DataError: A path is not there, or a folder holds no CSV file.
    """
    files: list[Path] = []
    returned = [path for path in given if not (path / KEY).is_file()]
    for path in returned or given:
        if not path.exists():
            raise DataError(f"there is no file or folder {path}: check the path of the labels")
        found = [path] if path.is_file() else sorted(path.glob("*.csv")) or sorted(path.glob("send/*.csv"))
        if not found:
            raise DataError(f"there is no CSV file in {path}: put the sheets that came back there")
        files += [file for file in found if file not in files]
    return files


def find_key(given: Sequence[Path]) -> Path:
    """The key that belongs to these labels: in the same folder, or in the one above."""
    for path in given:
        folder = (path if path.is_dir() else path.parent).resolve()
        for candidate in (folder / KEY, folder.parent / KEY):
            if candidate.is_file():
                return candidate
    raise DataError(f"there is no {KEY} beside {given[0]}: name the one of the export with -p key=FILE")


def read_labels(files: Sequence[Path], key: Mapping[str, Row]) -> Labels:
    """The labels in ``files`` that are sound, and a problem for everything else.

    Raises:
        DataError: A file is no sheet at all: unreadable, not UTF-8, or without the columns of a sheet.
    """
    lines = [line for path in files for line in _lines(path)]
    problems: list[Problem] = []
    placed: dict[tuple[str, int], list[_Line]] = defaultdict(list)
    for line in lines:
        row = key.get(line.cells["row"].strip())
        reason = _misplaced(line.cells, row)
        if reason or row is None:
            problems.append(Problem(line.file, line.number, reason, row.row if row else ""))
        else:
            placed[row.row, int(line.cells["annotator"])].append(line)
    by_row: dict[str, dict[int, str]] = defaultdict(dict)
    for (name, annotator), found in placed.items():
        wrong = _unusable(name, found)
        problems += wrong
        if not wrong:
            by_row[name][annotator] = found[0].cells["better"].strip().lower()
    problems += _absent(key, lines, files)
    return Labels(dict(by_row), sorted(problems, key=lambda p: (p.line == 0, p.file, p.line)))


def _misplaced(cells: Mapping[str, str], row: Row | None) -> str:
    """Why a line cannot be matched to the key; empty where it can."""
    if row is None:
        return f"there is no comparison {cells['row']!r} in the key"
    if cells["annotator"].strip() not in {str(number) for number in row.annotators}:
        return f"{row.row} was not given to an annotator {cells['annotator']!r}"
    if cells["check"].strip() != row.check:
        return f"the check of {row.row} is not the one of this export"
    texts = (restore(cells[column]) for column in ("prompt", "response_1", "response_2"))
    return "" if row_check(row.row, *texts) == row.check else f"the text of {row.row} has changed"


def _unusable(name: str, found: Sequence[_Line]) -> list[Problem]:
    """Why the lines of one row and annotator give no label: there are several, or it is missing or no label."""
    line, *more = found
    if more:
        reason = f"{name} stands already in {line.file}, row {line.number}"
        return [Problem(repeated.file, repeated.number, reason, name) for repeated in more]
    label = line.cells["better"].strip()
    if not label:
        return [Problem(line.file, line.number, "no label", name)]
    if label.lower() not in LABELS:
        return [Problem(line.file, line.number, f"the label {label!r:.40} is none of 1, 2 and tie", name)]
    return []


def _absent(key: Mapping[str, Row], lines: Sequence[_Line], files: Sequence[Path]) -> list[Problem]:
    """What was sent and is in no file: one problem a row, and one for an annotator of whom there is nothing."""
    there = {(line.cells["row"].strip(), line.cells["annotator"].strip()) for line in lines}
    people = {annotator for _, annotator in there}
    where = files[0].name if len(files) == 1 else f"{len(files)} files"
    asked = {(row.row, str(number)) for row in key.values() for number in row.annotators}
    silent = sorted({annotator for _, annotator in asked} - people)
    return [Problem(where, 0, f"all rows of annotator {annotator} are missing") for annotator in silent] + [
        Problem(where, 0, f"{name} of annotator {annotator} is missing", name)
        for name, annotator in sorted(asked - there)
        if annotator in people
    ]


def _lines(path: Path) -> Iterator[_Line]:
    """The rows of a sheet that hold anything, numbered as a spreadsheet numbers them."""
    rows = _parse(_text(path), path)
    heading = _heading(rows)
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            padded = [*row, *[""] * (len(heading) - len(row))]
            yield _Line(path.name, number, dict(zip(heading, padded, strict=False)))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode(_ENCODINGS.get(data[:2], "utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8: save it from the spreadsheet as 'CSV UTF-8'") from error


def _parse(text: str, path: Path) -> list[list[str]]:
    """The cells of a CSV text, whichever separator the spreadsheet wrote."""
    for delimiter in (",", ";", "\t"):
        rows = _split(text, delimiter, path)
        if rows and _NEEDED.issubset(_heading(rows)):
            return rows
    missing = sorted(_NEEDED.difference(_heading(_split(text, ",", path)))) if text.strip() else []
    what = f"lacks the columns {', '.join(missing)}" if missing else "is empty"
    raise DataError(f"{path} {what}: send back the sheet as it was, with the column 'better' filled in")


def _heading(rows: Sequence[Sequence[str]]) -> list[str]:
    return [cell.strip().lower() for cell in rows[0]]


def _split(text: str, delimiter: str, path: Path) -> list[list[str]]:
    limit = csv.field_size_limit(max(len(text), 1))  # the default refuses cells of more than 128 kB
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file ({error}): save it from the spreadsheet as 'CSV UTF-8'") from error
    finally:
        csv.field_size_limit(limit)
