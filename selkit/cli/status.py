"""``selkit status``: where an experiment stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.experiment.outlook.status import CellStatus, Status
    from selkit.experiment.spec.spec import Spec
    from selkit.store import Store


@click.command("status")
@click.argument("place", required=False, metavar="[FILE|RUN]")
@options.overrides
@click.option("--all", "show_all", is_flag=True, help="List cells that are done or still to do, too.")
@click.option("--watch", is_flag=True, help="Go on showing where it stands until the run that is going on ends.")
@options.store
@options.as_json
@options.verbosity
def command(
    place: str | None, overrides: tuple[str, ...], show_all: bool, watch: bool, store: str | None, as_json: bool
) -> None:
    """Show which cells of an experiment are done, under way, failed and still to do.

    Takes a spec (with what `selkit run` was given by --set) or the folder of a run; without one, the embedded
    quickstart.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.experiment.outlook.live import counted, details, watched
    from selkit.experiment.outlook.status import status_of
    from selkit.experiment.outlook.survey import survey
    from selkit.experiment.setup.experiment import prepare
    from selkit.store import Store

    console = get_console()
    where = Store(None if store is None else Path(store))
    spec = _spec(place, overrides, where)
    experiment = prepare(spec, where)
    found = status_of(survey(experiment))
    if watch and found.runs:
        with console.screen() as show:
            for found in watched(lambda: status_of(survey(experiment))):
                show(counted(spec.name, found), details(found))
    if as_json:
        console.result(json.dumps({"name": spec.name, **found.to_dict()}, indent=2))
    else:
        _show(spec.name, found, show_all)
    if place and (Path(place) / "report" / "report.json").is_file() and not found.stages[0]:
        made = "it was made in another one (--store), or with other versions"
        console.note(f"{place} has a report, and the store {where.root} has no result of it: {made}")


def _spec(place: str | None, overrides: tuple[str, ...], store: Store) -> Spec:
    from pathlib import Path

    from selkit.experiment import load_spec, parse_spec, quickstart_spec
    from selkit.experiment.spec.overrides import with_overrides
    from selkit.experiment.upkeep.remembered import spec_of

    if place is None:
        return quickstart_spec(overrides)
    if Path(place).is_dir():
        return parse_spec(with_overrides(spec_of(Path(place), store), overrides), place)
    return load_spec(Path(place), overrides)


def _show(name: str, found: Status, show_all: bool) -> None:
    from selkit.console import get_console
    from selkit.experiment.outlook.live import counted, holders, paced

    console = get_console()
    shown = [cell for cell in found.cells if show_all or cell.state in ("running", "failed")]
    if shown:
        console.table(name, ("cell", "state", "stages", "what"), [_row(cell) for cell in shown])
    console.result(f"{counted(name, found)}.")
    if found.runs:
        if pace := paced(found):
            console.result(f"{pace}.")
        console.result(f"It is going on: {holders(found.runs)}.")
    elif found.counts["done"] < len(found.cells):
        console.note("no run of it is going on; `selkit run` does what is missing")


def _row(cell: CellStatus) -> list[str]:
    from selkit.experiment.outlook.live import holders

    failed = f"{cell.error} (log: {cell.log})" if cell.error else ""
    what = holders(cell.running) or failed or cell.weights
    return [cell.cell, cell.state, f"{cell.stages_stored} of {cell.stages}", what]
