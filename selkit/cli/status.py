"""``selkit status``: where an experiment stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.experiment.outlook.status import CellStatus


@click.command("status")
@click.argument("place", required=False, metavar="[FILE|RUN]")
@click.option("--all", "show_all", is_flag=True, help="List cells that are done or still to do, too.")
@options.store
@options.as_json
@options.verbosity
def command(place: str | None, show_all: bool, store: str | None, as_json: bool) -> None:
    """Show which cells of an experiment are done, under way, failed and still to do.

    Takes a spec or the folder of a run; without one, the embedded quickstart.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.experiment import load_spec, parse_spec, quickstart_spec
    from selkit.experiment.outlook.status import status_of
    from selkit.experiment.outlook.survey import survey
    from selkit.experiment.setup.experiment import prepare
    from selkit.experiment.upkeep.remembered import spec_of
    from selkit.store import Store

    console = get_console()
    where = Store(None if store is None else Path(store))
    if place is None:
        spec = quickstart_spec()
    else:
        spec = parse_spec(spec_of(Path(place), where)) if Path(place).is_dir() else load_spec(Path(place))
    found = status_of(survey(prepare(spec, where)))
    if as_json:
        console.result(json.dumps({"name": spec.name, **found.to_dict()}, indent=2))
        return
    shown = [cell for cell in found.cells if show_all or cell.state in ("running", "failed")]
    if shown:
        console.table(spec.name, ("cell", "state", "stages", "what"), [_row(cell) for cell in shown])
    console.result(f"{spec.name}: " + ", ".join(f"{number} {state}" for state, number in found.counts.items()) + ".")
    if found.seconds_left:
        console.result(f"{found.per_hour:.1f} cells an hour of late: {_left(found.seconds_left)} left at that rate.")


def _row(cell: CellStatus) -> list[str]:
    from selkit.console import printable

    who = "; ".join(f"{one.stage} by process {one.pid} on {one.host} for {_left(one.seconds)}" for one in cell.running)
    failed = f"{cell.error} (log: {cell.log})" if cell.error else ""
    return [cell.cell, cell.state, f"{cell.stages_stored} of {cell.stages}", printable(who or failed)]


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
