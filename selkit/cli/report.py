"""``selkit report``: the reports of finished runs."""

from __future__ import annotations

from pathlib import Path

import click

from selkit.cli import options


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@options.output("Folder to write to; with several runs, a folder each in it. Default RUN/report.")
@options.as_json
@options.verbosity
def command(runs: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Write the report of finished runs again: report.html, report.md and report.json.

    RUN is a folder that `selkit run` wrote. Nothing is computed: the report shows what the run stored.
    """
    import json

    from selkit.console import get_console
    from selkit.report import read_document, report_folders, write_report

    console = get_console()
    folders = report_folders([Path(run) for run in runs], None if output is None else Path(output))
    documents = {run: read_document(run) for run in folders}  # every run is there before anything is written
    written = []
    for run, document in documents.items():
        files = write_report(document, folders[run], run)
        written.append({"run": str(run), "name": document["name"], "files": [str(path) for path in files]})
    if as_json:
        console.result(json.dumps({"schema_version": 1, "reports": written}, indent=2, ensure_ascii=False))
    else:
        for report in written:
            console.result("\n".join(report["files"]))
