"""``selkit overlap``: what selections have in common."""

from __future__ import annotations

from pathlib import Path

import click

from selkit.cli import options


@click.command("overlap")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@options.as_json
@options.verbosity
def command(folders: tuple[str, ...], as_json: bool) -> None:
    """Print how many rows each two selections share.

    FOLDERS are folders that `selkit select` wrote. A cell is the share of the row's selection that is also in the
    column's.
    """
    import json

    from selkit.console import get_console
    from selkit.select import overlap_rows, read_selection, shared_rows

    selections = {folder: read_selection(Path(folder)) for folder in folders}
    if as_json:
        shared = {"selections": list(selections), "shared_rows": shared_rows(selections).tolist()}
        get_console().result(json.dumps({"schema_version": 1, **shared}, indent=2))
    else:
        get_console().table("overlap", ["selection", "rows", *selections], overlap_rows(selections))
