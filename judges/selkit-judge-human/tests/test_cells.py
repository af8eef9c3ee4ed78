"""Text in cells: no formula is left to run, and every text comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selkit_judge_human.cells import neutralise, restore, row_check, showable

TRIGGERS = "=+-@\t\r＝＋－＠"

texts = st.text("'=-\t\r\n \u00a0a1", max_size=8) | st.text(
    st.one_of(st.sampled_from("'=+-@\t\r\n ＝\u00a0aé1\"；;,"), st.characters(codec="utf-8")), max_size=40
)


@given(texts)
@example("'=1+1")
@example("''1")
@example("\r\n=x")
@example("'\r")
@example("true")
def test_every_text_comes_back(text: str) -> None:
    """Through a CSV file, as it was; also where the spreadsheet took the apostrophes away."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow([neutralise(text)])
    (cell,) = next(csv.reader(io.StringIO(buffer.getvalue(), newline="")))
    assert restore(cell) == text
    if not text.startswith("'") and "\n'" not in text and "\r'" not in text:
        assert restore(text) == text


@given(texts)
@example("a\n=1")
@example("a\r\n \u00a0-x")
@example("a\r''@x")
def test_no_line_of_a_cell_starts_a_formula(text: str) -> None:
    """Neither at its start nor after blanks, on no line; the tab and the carriage return count too."""
    cell = neutralise(text)
    assert not cell.startswith(("\t", "\r", "\n"))
    for line in cell.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        assert not line.startswith("\t")
        assert not line.strip(" \u00a0\u3000\u2003").startswith(tuple(TRIGGERS.replace("\r", "")))


@pytest.mark.parametrize(
    "text", ["007", "1/2", "3.10", "12345678901234567890", "1e5", "May 5", "TRUE", " false ", "5%"]
)
def test_texts_that_spreadsheets_rewrite_get_an_apostrophe(text: str) -> None:
    """Numbers, dates and truth values stay text."""
    assert neutralise(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["Paris", "A longer answer that was given in 1999 or so.", "it's", "a - b = c", "the 3 wise men"]
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    """Annotators see no apostrophe that is not needed."""
    assert neutralise(text) == text


def test_check_sees_changes_but_not_line_breaks() -> None:
    """Any changed, moved or swapped text changes the check; kinds of line break and lone surrogates do not stop it."""
    check = row_check("q0001", "prompt", "one\ntwo", "three")
    assert check == row_check("q0001", "prompt", "one\r\ntwo", "three")
    others = [("q0002", "prompt", "one\ntwo", "three"), ("q0001", "prompt", "three", "one\ntwo")]
    others += [("q0001", "prompt", "one\ntw", "othree"), ("q0001", "prompt", "one two", "three")]
    assert check not in {row_check(*other) for other in others}
    assert len({row_check(*other) for other in others}) == len(others)
    assert row_check("q0001", "\ud800") == row_check("q0001", showable("\ud800"))
    assert check[0] == "h"
    assert len(check) == 17
