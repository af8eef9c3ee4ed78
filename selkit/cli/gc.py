"""``selkit gc``: remove from the store what no run needs."""

from __future__ import annotations

import click

from selkit.cli import options


@click.command("gc")
@click.argument("needed", nargs=-1, metavar="[RUN|FILE]...")
@click.option("--forget-missing", is_flag=True, help="Keep nothing for runs whose folder is gone.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Keep what was made or used in the last so many hours.",
)
@options.dry_run
@options.store
@options.as_json
@options.verbosity
def command(
    needed: tuple[str, ...], forget_missing: bool, hours: float, dry_run: bool, store: str | None, as_json: bool
) -> None:
    """Remove from the store what no run needs.

    Kept is what the runs of this store need, finished or not, with all that it was made from; what is being made now;
    and what was used of late. Name folders of runs or specs to keep what these need, and nothing for other runs.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.experiment.upkeep.cleaning import clean
    from selkit.files import readable_bytes
    from selkit.store import Store

    console = get_console()
    places = [Path(one) for one in needed]
    where = Store(None if store is None else Path(store))
    found = clean(where, places, forget_missing=forget_missing, unused_for=3600 * hours, dry_run=dry_run)
    if as_json:
        console.result(json.dumps(found.to_dict(), indent=2))
        return
    rows = [[stage, str(number), readable_bytes(size)] for stage, (number, size) in found.by_stage.items()]
    console.table("would be removed" if dry_run else "removed", ("stage", "results", "size"), rows)
    console.result(
        f"{readable_bytes(found.bytes)} {'would be' if dry_run else 'are'} free; kept for {len(found.kept_for)} runs: "
        f"{', '.join(found.kept_for) or 'none is known'}."
    )
    for folder in found.missing:
        console.note(f"{folder} is gone; what it needed is {'let go' if forget_missing else 'kept'}")
