"""``selkit eval MODEL -b NAME``: a model, or stored outputs, against benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selkit.cli import options


@click.command("MODEL", hidden=True)
@click.argument("model", required=False)
@click.option("-b", "--benchmark", "names", multiple=True, required=True, metavar="NAME", help="Benchmark or group.")
@click.option("--responses", metavar="FILE", help="Score these stored outputs; no MODEL then.")
@click.option("--partial", is_flag=True, help="Score the rows that have an output, though others have none.")
@click.option("--baseline", metavar="MODEL|FILE", help="Adds the paired difference to a model or to stored outputs.")
@click.option(
    "--seeds-of", multiple=True, metavar="MODEL|FILE", help="Models of several random seeds; repeat for each."
)
@click.option("--template", metavar="NAME", help="alpaca, wizardlm, plain, raw or chat; by default the training's.")
@click.option("--data", metavar="DIR", help="Folder of the benchmarks' local rows.")
@click.option("--sample", metavar="N|all", help="Rows of each benchmark, drawn by the seed.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer, in tokens.")
@options.output("Folder for results.json and the items.")
@options.seed
@options.store
@options.as_json
@options.dry_run
@options.verbosity
def command(
    model: str | None,
    names: tuple[str, ...],
    responses: str | None,
    partial: bool,
    baseline: str | None,
    seeds_of: tuple[str, ...],
    template: str | None,
    data: str | None,
    sample: str | None,
    max_new_tokens: int | None,
    output: str | None,
    seed: int,
    store: str | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Evaluate MODEL on benchmarks.

    MODEL is a folder, hub:NAME[@REVISION], pypi:NAME==VERSION or tiny:NAME. What is stored is not computed again.
    """
    import json

    from selkit.api import UsageError
    from selkit.console import get_console
    from selkit.evals.against import against_baseline, against_seeds
    from selkit.evals.evaluation import document, evaluate, model_subject, outputs_subject, plan_benchmarks, subject
    from selkit.evals.files import write_evaluation
    from selkit.models import default_threads
    from selkit.plugins import build
    from selkit.store import Store

    console = get_console()
    if (model is None) == (responses is None):
        raise UsageError("name either a MODEL or stored outputs with --responses")
    plan = plan_benchmarks(
        [build("benchmark", name) for name in dict.fromkeys(names)],
        data=Path(data) if data else None,
        sample=_sample(sample),
        seed=seed,
        max_new_tokens=max_new_tokens,
    )
    mine = model_subject(model, template) if model else outputs_subject(Path(str(responses)), partial=partial)
    other = subject(baseline, template, partial=partial) if baseline else None
    seeds = [subject(ref, template, partial=partial) for ref in seeds_of]
    for one in (mine, *([other] if other else []), *seeds):
        console.note(f"{one.name}: {'stored outputs' if one.outputs else f'template {one.template.name}'}")
        if one.note:
            console.note(f"warning: {one.note}")
    if dry_run:
        for label, job in plan.jobs.items():
            console.result(f"would score {label} ({'all' if job.sample is None else job.sample} rows)")
        return
    where = Store(Path(store) if store else None)
    evaluation = evaluate(plan, mine, where, threads=default_threads())
    found = document(plan, evaluation)
    if other:
        compared = evaluate(plan, other, where, threads=default_threads())
        found["baseline"] = against_baseline(plan, evaluation, compared)
    if seeds:
        runs = [evaluate(plan, one, where, threads=default_threads()) for one in seeds]
        found["seeds"] = against_seeds(plan, evaluation, runs)
    if output:
        write_evaluation(found, plan, evaluation, Path(output))
    if as_json:
        console.result(json.dumps(found, indent=2, ensure_ascii=False))
        return
    _show(found)


def _sample(text: str | None) -> Any:
    from selkit.api import UsageError

    if text is None or text == "all":
        return text
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"--sample is a number of rows from 1 on, or all, not {text!r}")
    return int(text)


def _show(found: dict[str, Any]) -> None:
    from selkit.console import get_console

    rows = [
        [label, name, f"{100 * metric['value']:.1f}", _points(metric["se"]), str(metric["n"])]
        for label, benchmark in found["benchmarks"].items()
        for name, metric in benchmark["metrics"].items()
    ]
    console = get_console()
    console.table(found["subject"]["name"], ("benchmark", "metric", "points of 100", "standard error", "items"), rows)
    for label, benchmark in found["benchmarks"].items():
        for remark in benchmark["remarks"]:
            console.result(f"{label}: {remark}.")
    if "baseline" in found:
        lines = [
            [label, gap["metric"], f"{100 * gap['value']:+.1f}", _interval(gap), str(gap["n"])]
            for label, gap in found["baseline"]["differences"].items()
        ]
        title = f"difference from {found['baseline']['subject']['name']}, paired by item"
        console.table(title, ("benchmark", "metric", "points of 100", "95% interval", "items"), lines)
    for line in found.get("seeds", {}).get("sentences", []):
        console.result(f"{line}.")


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _interval(gap: dict[str, Any]) -> str:
    return "" if gap["ci_low"] is None else f"{100 * gap['ci_low']:+.1f} to {100 * gap['ci_high']:+.1f}"
