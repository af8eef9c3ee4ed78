"""LaTeX for papers: tables in the manner of booktabs, and text with everything special escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
}
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")
_WIDE = 10
"""Columns above which a table is set smaller and tighter, so that it fits the width of a page."""

_NUMBER = re.compile(r"[+\-<]?[\d.,]+%?( to [+\-]?[\d.,]+%?)?")


def escaped(text: str) -> str:
    """The text as LaTeX that prints it; control characters become a space."""
    return "".join(_SPECIAL.get(sign, sign) for sign in _UNSEEN.sub(" ", text))


def cell(text: str) -> str:
    """A cell of a table: escaped, with the minus of a number as a minus."""
    return _MINUS.sub("$-$", escaped(text))


def latex_table(title: str, label: str, columns: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    r"""A floating table across both columns; the document needs \\usepackage{booktabs}.

    Args:
        title: The caption.
        label: What \\ref names after 'tab:'.
        columns: The headings.
        rows: The cells, as many as headings; columns of numbers are set to the right.
        note: A sentence for the caption on how to read the table.
    """
    body = [list(row) for row in rows]
    size = [r"  \footnotesize", r"  \setlength{\tabcolsep}{3pt}"] if len(columns) > _WIDE else [r"  \small"]
    sides = "".join("r" if _numeric([row[place] for row in body]) else "l" for place in range(len(columns)))
    caption = ". ".join(part.rstrip(".") for part in (title, note) if part)
    lines = [
        r"\begin{table*}[t]",
        r"  \centering",
        *size,
        rf"  \caption{{{escaped(caption)}.}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{sides}}}",
        r"    \toprule",
        f"    {_line(columns)}",
        r"    \midrule",
        *(f"    {_line(row)}" for row in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    # braces, since a row that begins with a bracket would read as an option of the row before
    shown = [cell(text) for text in cells]
    first = f"{{{shown[0]}}}" if shown and shown[0].lstrip().startswith(("[", "*")) else shown[0] if shown else ""
    return " & ".join([first, *shown[1:]]) + r" \\"


def _numeric(cells: Sequence[str]) -> bool:
    filled = [text for text in cells if text]
    return bool(filled) and all(_NUMBER.fullmatch(text) for text in filled)
