"""``selkit report``: the reports of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selkit.cli import options


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@options.output("Folder to write to; with several runs, a folder each in it. Default RUN/report.")
@click.option("--compare", is_flag=True, help="Set two runs side by side instead; with -o also as files.")
@options.as_json
@options.verbosity
def command(runs: tuple[str, ...], output: str | None, compare: bool, as_json: bool) -> None:
    """Write the reports of finished runs: the page, and what a paper needs.

    RUN is a folder that `selkit run` wrote. Nothing is computed: the report shows what the run stored, as report.html,
    report.md, report.json, tables/ (CSV and LaTeX), figures/ (SVG and PDF), methods.txt, methods.tex and
    references.bib.
    """
    folder = None if output is None else Path(output)
    if compare:
        _compare(runs, folder, as_json)
    else:
        _write(runs, folder, as_json)


def _write(runs: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    from selkit.console import get_console
    from selkit.report import read_document, report_folders, write_exports, write_report

    console = get_console()
    folders = report_folders([Path(run) for run in runs], output)
    documents = {run: read_document(run) for run in folders}  # every run is there before anything is written
    written = []
    for run, document in documents.items():
        _make(folders[run])
        files = write_report(document, folders[run], run)
        more, note = write_exports(document, folders[run])
        if note is not None:
            console.note(note)
        paths = [str(path) for path in [*files, *more]]
        written.append({"run": str(run), "name": document["name"], "files": paths})
    if as_json:
        console.result(_json({"schema_version": 1, "reports": written}))
    else:
        for report in written:
            console.result("\n".join(report["files"]))


def _compare(runs: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    from selkit.api import UsageError
    from selkit.console import get_console
    from selkit.report import compare, comparison_markdown, comparison_table, read_document
    from selkit.store import atomic_write_text

    if len(runs) != 2:
        raise UsageError(f"--compare sets two runs side by side, and here are {len(runs)}: name two folders")
    compared = compare(*(read_document(Path(run)) for run in runs))
    console = get_console()
    if output is not None:
        _make(output)
        atomic_write_text(output / "comparison.json", _json(compared) + "\n")
        atomic_write_text(output / "comparison.md", comparison_markdown(compared))
    if as_json:
        console.result(_json(compared))
        return
    first, second = (one["name"] for one in compared["experiments"])
    console.table(f"{first} and {second}", *comparison_table(compared))
    settings = [[row["setting"], str(row["first"]), str(row["second"])] for row in compared["spec"]]
    if settings:
        console.table("what differs in their specs", ["setting", first, second], settings)


def _make(folder: Path) -> None:
    """The folder, made where it is not there. Raises DataError where it cannot be."""
    from selkit.files import unwritable

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)
