"""Spreadsheets for annotators: a CSV file that any spreadsheet program opens, and a page that says what to do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from selkit.api import Comparison
from selkit_judge_human.cells import LONGEST_CELL, neutralise, showable
from selkit_judge_human.design import Row, shown

COLUMNS = ("row", "annotator", "prompt", "response_1", "response_2", "better", "comment", "check")
"""Columns of a sheet. People fill in 'better', and 'comment' if they like."""

README = "README.txt"


def sheet_name(annotator: int, annotators: int) -> str:
    """File name of one annotator's sheet."""
    return "comparisons.csv" if annotators == 1 else f"comparisons-{annotator}.csv"


def sheet(rows: Iterable[tuple[Row, Comparison]], annotator: int) -> str:
    """One annotator's sheet as CSV text; the byte order mark makes spreadsheets read it as UTF-8."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row, comparison in rows:
        if annotator in row.annotators:
            texts = (neutralise(showable(text)) for text in shown(comparison, row.left))
            writer.writerow((row.row, annotator, *texts, "", "", row.check))
    return "\ufeff" + buffer.getvalue()


def too_long(rows: Iterable[tuple[Row, Comparison]]) -> list[str]:
    """Names of the rows with a text that spreadsheets cut off."""
    return [
        row.row
        for row, comparison in rows
        if any(len(neutralise(text)) > LONGEST_CELL for text in shown(comparison, row.left))
    ]


def instructions(names: Sequence[str]) -> str:
    """The page for annotators."""
    files = names[0] if len(names) == 1 else "your sheet (one per annotator: " + ", ".join(names) + ")"
    return f"""Which response is better?

1. Open {files} in a spreadsheet program. If it asks: the text is UTF-8 and the separator is a comma.
2. Each row has a prompt and two responses to it. Read all three, then write into the column "better":
       1     if response_1 is the better one
       2     if response_2 is the better one
       tie   if neither is
   Nothing else counts as an answer. The column "comment" is yours.
3. Leave every other cell as it is, and every row where it is. You may sort the rows, add columns, and save often.
4. Save as CSV (UTF-8) and send the file back.

Judge the responses on their own: the order of the two is random and tells nothing. An apostrophe (') in front of a
text or a line was put there so that the spreadsheet leaves it alone; it does not belong to the response.
"""
