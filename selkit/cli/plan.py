"""``selkit plan``: what an experiment consists of, what of it is stored, and what the rest will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.experiment.outlook.estimate import Estimate
    from selkit.experiment.setup.stages import Survey


@click.command("plan")
@click.argument("spec", required=False, metavar="[FILE]")
@options.overrides
@click.option("--cells", "show_cells", is_flag=True, help="List every cell with its stages.")
@click.option("--graph", "show_graph", is_flag=True, help="Print the graph of stages as Mermaid text, and no table.")
@click.option("--device", metavar="NAME", help="Estimate for another device of the price file, such as A100.")
@click.option("--prices", "show_prices", is_flag=True, help="Print which file says what tokens and devices cost.")
@options.store
@options.as_json
@options.verbosity
def command(
    spec: str | None,
    overrides: tuple[str, ...],
    show_cells: bool,
    show_graph: bool,
    device: str | None,
    show_prices: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Show the stages of the experiment in FILE and what they will take.

    Stages that are stored are known, the others are estimated from what was measured on stored ones like them, or by a
    rule that is named; calls are the most that can come to be. No row is scored, no model trained or asked, and no
    result of a stage stored. What the checks need is done: pools and test sets are read (and fetched, if they are on a
    hub), a tiny model is built in the cache, and where recipes are searched the validation rows are held out.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.experiment import load_spec, quickstart_spec
    from selkit.experiment.outlook.estimate import estimate
    from selkit.experiment.outlook.graph import mermaid
    from selkit.experiment.outlook.survey import survey
    from selkit.experiment.setup.experiment import prepare
    from selkit.models.client.prices import prices_place
    from selkit.store import Store

    console = get_console()
    if show_prices:
        console.result(str(prices_place()))
        return
    loaded = load_spec(Path(spec), overrides) if spec else quickstart_spec(overrides)
    found = survey(prepare(loaded, Store(None if store is None else Path(store))))
    if show_graph:
        console.result(mermaid(found))
        return
    expected = estimate(found, device)
    if as_json:
        console.result(json.dumps({"name": loaded.name, **found.to_dict(), **expected.to_dict()}, indent=2))
        return
    if show_cells:
        console.table("cells", ("cell", "stored", "to do"), _cells(found))
    _show(loaded.name, found, expected)


def _show(name: str, found: Survey, expected: Estimate) -> None:
    from selkit.console import get_console
    from selkit.experiment.outlook.live import duration
    from selkit.files import readable_bytes

    console = get_console()
    columns = ("stage", "of", "needs", "stored", "to do", "device hours", "calls", "dollars", "estimated by")
    console.table(f"{name}: {len(found.cells)} cells, {len(found.done)} of them stored", columns, _lines(expected))
    disk, dollars, workers = expected.disk, expected.dollars, expected.workers
    took, together = duration(expected.device_seconds), duration(expected.device_seconds / workers)
    console.result(
        f"{took} of {expected.device}, {together} with {workers} at once; "
        f"{_dollars(dollars['device'])} for the device and {_dollars(dollars['calls'])} for calls."
    )
    console.result(
        f"Disk: {readable_bytes(disk.results)} of results, {readable_bytes(disk.weights)} of weights that stay, "
        f"{readable_bytes(disk.peak)} at most; {readable_bytes(disk.free)} are free."
    )
    for note in [*expected.notes, *found.experiment.notes]:
        console.note(note)


def _lines(expected: Estimate) -> list[list[str]]:
    return [
        [
            line.kind,
            line.what,
            ", ".join(line.needs),
            str(line.stored),
            str(line.to_do),
            "not known" if line.device_seconds is None else _hours(line.device_seconds),
            str(line.calls) if line.calls else "",
            _dollars(line.dollars) if line.calls else "",
            line.source,
        ]
        for line in expected.lines
    ]


def _cells(found: Survey) -> list[list[str]]:
    rows = []
    for label, ids in found.cells.items():
        stages = [found.stages[one] for one in ids]
        names = [dict.fromkeys(one.kind for one in stages if one.stored is state) for state in (True, False)]
        rows.append([label, *(", ".join(part) for part in names)])
    return rows


def _hours(seconds: float) -> str:
    return "<0.01" if 0 < seconds < 18 else f"{seconds / 3600:.2g}"


def _dollars(value: float | None) -> str:
    return "no price" if value is None else f"${value:,.2f}"
