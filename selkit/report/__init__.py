"""Reports: report.json as data, report.md for people. They show what the document holds and compute nothing new."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selkit.report.grid import GridTable, grid_tables
from selkit.report.markdown import markdown
from selkit.report.tables import VERDICT_COLUMNS, verdict_rows
from selkit.store import atomic_write_text

__all__ = ["VERDICT_COLUMNS", "GridTable", "grid_tables", "markdown", "verdict_rows", "write_report"]


def write_report(document: Mapping[str, Any], folder: Path) -> None:
    """Writes report.json and report.md to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / "report.json", text + "\n")
    atomic_write_text(folder / "report.md", markdown(document))
