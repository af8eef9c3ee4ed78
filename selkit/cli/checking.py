"""``selkit plugins check``: the conformance kit on an installed component, without pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from selkit.api import Component
    from selkit.testing import PlantedTable, Report


@click.command("check")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(("selector", "judge", "benchmark")),
    help="Where several kinds have the name: which one.",
)
@options.parameters
@click.option("--model", metavar="REF", help="Model for a selector's unset model parameters, e.g. tiny:llama.")
@click.option("--pool", metavar="FILE", help="Pool that the selector can work on, where the sample pool will not do.")
@click.option("--data", metavar="DIR", help="Folder with the rows of the benchmark.")
@click.option(
    "--completions",
    metavar="FILE",
    help="Answers of a prompt judge's model as JSON: an object from the text to the preference it stands for.",
)
@click.option(
    "--opt-out",
    "opt_outs",
    multiple=True,
    metavar="CHECK=REASON",
    help="A check that is known to fail, with the reason; repeat for more.",
)
@click.option(
    "--planted", is_flag=True, help="Show what a selector finds on a pool whose truth is known, beside chance."
)
@options.as_json
@options.verbosity
def command(
    name: str,
    kind: str | None,
    assignments: tuple[str, ...],
    model: str | None,
    pool: str | None,
    data: str | None,
    completions: str | None,
    opt_outs: tuple[str, ...],
    planted: bool,
    as_json: bool,
) -> None:
    """Run the conformance checks on the component NAME.

    Ends with exit code 1 where a check fails or too few ran. Under pytest the same checks are the tests of
    selkit.testing's conformance classes.
    """
    from selkit.api import WorkFailed
    from selkit.console import get_console
    from selkit.testing import check_component

    component = _build(name, kind, assignments)
    sample = _sample(component, model=model, pool=pool, data=data, completions=completions)
    _refuse_planted(component, planted)
    report = check_component(component, xfails=_reasons(opt_outs), **sample)
    table = _planted(component, model) if planted and not report.of_status("failed") else None
    if planted and table is None:
        get_console().note("The planted pool is left out, since a check failed.")
    _show_json(report, table) if as_json else _show(report, table)
    if not report.ok:
        named = ", ".join(result.name for result in report.of_status("failed"))
        raise WorkFailed(f"{report.summary()}{f' ({named})' if named else ''}")


def _build(name: str, kind: str | None, assignments: tuple[str, ...]) -> Component:
    from selkit.api import UsageError
    from selkit.plugins import build, manager, parse_assignments

    kinds = [kind] if kind else manager().kinds_of(name)
    if len(kinds) > 1:
        raise UsageError(f"'{name}' is a {' and a '.join(kinds)}: say which with --kind")
    return build(kinds[0], name, parse_assignments(assignments))


def _sample(
    component: Component, *, model: str | None, pool: str | None, data: str | None, completions: str | None
) -> dict[str, Any]:
    """What the component is tried on; options that its kind has no use for are refused."""
    from pathlib import Path

    from selkit.api import BaseSelector, PairwiseJudge
    from selkit.pools import load_pool

    if isinstance(component, BaseSelector):
        _refuse_idle(component, data=data, completions=completions)
        return {"base_model": model, "pool": load_pool(pool) if pool else None}
    if isinstance(component, PairwiseJudge):
        _refuse_idle(component, model=model, pool=pool, data=data)
        return {"completions": _read_completions(Path(completions)) if completions else None}
    _refuse_idle(component, model=model, pool=pool, completions=completions)
    return {"data": Path(data) if data else None}


def _refuse_idle(component: Component, **given: str | None) -> None:
    from selkit.api import UsageError
    from selkit.plugins.kinds import noun

    for name, value in given.items():
        if value is not None:
            raise UsageError(f"'{component.name}' is a {noun(type(component))}, which has no use for --{name}")


def _read_completions(path: Path) -> dict[str, float]:
    import json

    from selkit.api import DataError

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, (int, float)) for value in found.values()):
        raise DataError(f"{path} must hold one JSON object from an answer's text to its preference, 1 to 0")
    return {text: float(value) for text, value in found.items()}


def _reasons(opt_outs: tuple[str, ...]) -> dict[str, str]:
    return {check.strip(): reason.strip() for check, _, reason in (text.partition("=") for text in opt_outs)}


def _refuse_planted(component: Component, planted: bool) -> None:
    from selkit.api import BaseSelector, UsageError
    from selkit.plugins.kinds import noun

    if planted and not isinstance(component, BaseSelector):
        raise UsageError(f"--planted tries selectors, and '{component.name}' is a {noun(type(component))}")


def _planted(component: Component, model: str | None) -> PlantedTable:
    from selkit.api import BaseSelector
    from selkit.testing import planted_table

    assert isinstance(component, BaseSelector)
    return planted_table(component, base_model=model)


def _show_json(report: Report, table: PlantedTable | None) -> None:
    import json

    from selkit.console import get_console

    found = report.to_dict() | ({"planted": table.to_dict()} if table else {})
    get_console().result(json.dumps(found, indent=2, ensure_ascii=False))


def _show(report: Report, table: PlantedTable | None) -> None:
    from selkit.console import get_console

    console = get_console()
    told = [result for result in report.results if result.status != "passed" or console.verbose]
    if told:
        console.table("", ["check", "result", "why"], [(r.name, r.status, r.reason) for r in told])
    console.result(report.summary())
    if table:
        console.result("")
        console.table(table.title(), ["selector", "recall", *table.kinds], table.cells())
        for note in table.notes:
            console.note(note)
