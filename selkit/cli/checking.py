"""``selkit plugins check``: the conformance kit on an installed component, without pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options

if TYPE_CHECKING:
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
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="NAME=FILE",
    help="Another arm, for a selector that looks at the others: a selection's folder or a file of ids; repeatable.",
)
@click.option("--data", metavar="DIR", help="Folder with the rows of the benchmark.")
@click.option(
    "--right",
    metavar="TEMPLATE",
    help="The answer to a row that earns full marks, as lm-eval's doc_to_target, e.g. '{{answer}}'.",
)
@click.option("--whole", is_flag=True, help="The benchmark's rows are all that are published, and not a sample.")
@click.option(
    "--completions",
    metavar="FILE",
    help="Answers of a prompt judge's model as JSON: an object from the text to the preference it stands for.",
)
@click.option(
    "--comparisons",
    metavar="FILE",
    help="Comparisons that a judge can judge, as JSON lines (id, prompt, first, second), where the sample will not do.",
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
    opt_outs: tuple[str, ...],
    planted: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Run the conformance checks on the component NAME.

    Ends with exit code 1 where a check fails or too few ran. What the component needs before it can run is said in one
    sentence. Under pytest the same checks are the tests of selkit.testing's conformance classes.
    """
    from selkit.api import WorkFailed
    from selkit.console import get_console
    from selkit.testing import check_component

    component = _build(name, kind, assignments)
    sample = _sample(component, given)
    _refuse_planted(component, planted)
    report = check_component(component, xfails=_reasons(opt_outs), **sample)
    if report.refusal is not None:
        if as_json:
            _show_json(report, None)
        raise report.refusal
    table = _planted(component, given["model"]) if planted and not report.of_status("failed") else None
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


_OF_KIND = {
    "selector": ("model", "pool", "arms"),
    "judge": ("comparisons", "completions"),
    "benchmark": ("data", "right", "whole"),
}
"""Which options say what a component of this kind is tried on."""


def _sample(component: Component, given: dict[str, Any]) -> dict[str, Any]:
    """What the component is tried on; options that its kind has no use for are refused."""
    from selkit.plugins.kinds import kind_of

    kind = kind_of(type(component))
    _refuse_idle(component, {name: value for name, value in given.items() if name not in _OF_KIND[kind]})
    mine = {name: given[name] for name in _OF_KIND[kind] if given[name]}
    return {"selector": _for_selector, "judge": _for_judge, "benchmark": _for_benchmark}[kind](mine)


def _for_selector(given: dict[str, Any]) -> dict[str, Any]:
    from selkit.pools import load_pool
    from selkit.testing.given import read_arms
    from selkit.testing.pools import sample_pool

    pool = load_pool(given["pool"]) if "pool" in given else None
    arms = read_arms(given["arms"], pool or sample_pool()) if "arms" in given else None
    return {"base_model": given.get("model"), "pool": pool, "arms": arms}


def _for_judge(given: dict[str, Any]) -> dict[str, Any]:
    from pathlib import Path

    from selkit.testing.given import read_comparisons, read_completions

    readers = {"comparisons": read_comparisons, "completions": read_completions}
    return {name: readers[name](Path(value)) for name, value in given.items()}


def _for_benchmark(given: dict[str, Any]) -> dict[str, Any]:
    from pathlib import Path

    from selkit.testing.given import right_by_template

    data = Path(given["data"]) if "data" in given else None
    right = right_by_template(given["right"]) if "right" in given else None
    return {"data": data, "right": right, "whole": given.get("whole")}


def _refuse_idle(component: Component, given: dict[str, Any]) -> None:
    from selkit.api import UsageError
    from selkit.plugins.kinds import noun

    for name in (name for name, value in given.items() if value):
        option = "arm" if name == "arms" else name
        raise UsageError(f"'{component.name}' is a {noun(type(component))}, which has no use for --{option}")


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
