"""Reports: report.json as data, report.html and report.md for people. They show what a run holds and compute nothing
new."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selkit.api import DataError, UsageError
from selkit.report.compare import compare, comparison_markdown, comparison_table
from selkit.report.exports import write_exports
from selkit.report.grid import GridTable, grid_tables
from selkit.report.html import html_page, read_items
from selkit.report.markdown import markdown
from selkit.report.tables import verdict_table
from selkit.store import atomic_write_text

__all__ = [
    "GridTable",
    "compare",
    "comparison_markdown",
    "comparison_table",
    "grid_tables",
    "html_page",
    "markdown",
    "read_document",
    "report_folders",
    "verdict_table",
    "write_exports",
    "write_report",
]


def write_report(document: Mapping[str, Any], folder: Path, run: Path) -> list[Path]:
    """Writes report.html, report.md and report.json to ``folder``, and returns where they are.

    Args:
        document: What report.json holds.
        folder: Where to write; it is made.
        run: The folder of the run, which holds its items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    content = {
        "report.html": html_page(document, read_items(run)),
        "report.md": markdown(document),
        "report.json": f"{data}\n",
    }
    for name, text in content.items():
        atomic_write_text(folder / name, text)
    return [folder / name for name in content]


def report_folders(runs: Sequence[Path], output: Path | None) -> dict[Path, Path]:
    """Where the report of every run goes: its own folder report/, ``output``, or one folder each in ``output``.

    Raises:
        UsageError: Two runs would write to one folder.
    """
    if output is None:
        return {run: run / "report" for run in runs}
    folders = {run: output if len(runs) == 1 else output / run.resolve().name for run in runs}
    if len(set(folders.values())) < len(folders):
        raise UsageError(f"two of the runs have one name, so that one report in {output} would replace the other's")
    return folders


def read_document(run: Path) -> dict[str, Any]:
    """report.json of a finished run.

    Raises:
        DataError: The folder holds none, or one that is not JSON.
    """
    path = run / "report" / "report.json"
    if not path.is_file():
        raise DataError(f"{run} holds no finished run: run `selkit run ... -o {run}` first")
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no report ({error}): run the same `selkit run` again") from error
    return document
