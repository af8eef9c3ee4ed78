"""What `selkit report` writes beside the page: tables for programs and for papers, figures, a bibliography, methods."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from selkit.report.bibtex import bibliography
from selkit.report.costs import scoring
from selkit.report.csv_tables import csv_tables, csv_text
from selkit.report.diagnostics import categories, diversity, lengths, verbs
from selkit.report.evidence import comparisons, direct, run_scores, selections, training, win_rates
from selkit.report.figures import drawable, figures
from selkit.report.grid import GridTable, grid_tables
from selkit.report.judging import judge_table, missing_table
from selkit.report.latex import latex_table
from selkit.report.methods import methods_latex, methods_text
from selkit.report.tables import number, place_cells, place_columns
from selkit.report.verdicts import for_paper
from selkit.stats.rules import SECONDARY
from selkit.store import atomic_write_bytes, atomic_write_text

LISTING = "exports.txt"
"""Names of the files that were written last, one a line: what is not written again goes."""

WITHOUT_FIGURES = "the figures are left out, since matplotlib is not installed: install selkit-eval[report]"

Row = Mapping[str, Any]


def write_exports(document: Row, folder: Path) -> tuple[list[Path], str | None]:
    """Writes tables/, figures/, methods.txt, methods.tex and references.bib to ``folder``.

    Returns:
        Where everything is, and a note where something is left out for want of a package.
    """
    files = dict(_files(document))
    _remove_stale(folder, files)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(path, content)
    atomic_write_text(folder / LISTING, "".join(f"{name}\n" for name in files))
    return [folder / name for name in files], None if drawable() else WITHOUT_FIGURES


def _remove_stale(folder: Path, files: Collection[str]) -> None:
    """Removes what was written here before and is not written now, so that no old table lies among the new ones."""
    listing = folder / LISTING
    before = listing.read_text("utf-8").splitlines() if listing.is_file() else []
    for name in before:
        if name not in files and re.fullmatch(r"(tables|figures)/[\w.-]+", name):
            (folder / name).unlink(missing_ok=True)


def _files(document: Row) -> Iterator[tuple[str, bytes]]:
    for name, rows in csv_tables(document).items():
        yield f"tables/{name}.csv", csv_text(rows).encode("utf-8", "replace")
    for name, table in paper_tables(document).items():
        latex = latex_table(table.title, name, table.columns, table.rows, table.note)
        yield f"tables/{name}.tex", latex.encode("utf-8", "replace")
    yield "methods.txt", methods_text(document).encode("utf-8", "replace")
    yield "methods.tex", methods_latex(document).encode("utf-8", "replace")
    yield "references.bib", bibliography(document).encode("utf-8", "replace")
    if drawable():
        yield from ((f"figures/{name}", content) for name, content in figures(document))


def paper_tables(document: Row) -> dict[str, GridTable]:
    """The tables that a paper may want, by the names of their files."""
    verdicts, control = document["verdicts"], document["spec"]["control"]
    found = {
        "verdicts": for_paper([row for row in verdicts if row["family"] != SECONDARY], control),
        "verdicts_exploratory": for_paper([row for row in verdicts if row["family"] == SECONDARY], control),
    }
    found |= {"comparisons": comparisons(document), "judges": judge_table(document), "missing": missing_table(document)}
    found |= {"categories": categories(document), "lengths": lengths(document)}
    found |= {"diversity": diversity(document), "verbs": verbs(document)}
    found |= {"costs": _costs(document), "scoring_costs": scoring(document)}
    if document["win_rates"]:
        found["win_rates"] = win_rates(document)
    if document["direct"]:
        found["direct"] = direct(document)
    made = (run_scores(document), selections(document), training(document))
    found |= dict(zip(("scores", "selections", "training"), made, strict=True))
    for table in grid_tables(document["grid"]):
        found[re.sub(r"\W+", "_", table.title.lower()).strip("_")] = table
    return {name: table for name, table in found.items() if table.rows}


def _costs(document: Row) -> GridTable:
    rows = (document.get("measured") or {}).get("costs") or ()
    place = [*place_columns(rows), "arm"]
    lines = [
        [
            *place_cells(row, place),
            *(number(row[name], 1) for name in ("selection_seconds", "training_seconds")),
            number(row["selection_dollars"], 2),
            number(row["dollars"], 2),
            number(row["times_control"], 1),
        ]
        for row in rows
    ]
    measures = ["selection, s", "training, s", "selection, calls in dollars", "dollars", "times the control"]
    note = "One run of an arm on its own; dollars are known where the device has a price"
    return GridTable("Costs", [*place, *measures], lines, note)
