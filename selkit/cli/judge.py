"""``selkit judge``: say which of two responses is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.judge.audit import Unparsed
    from selkit.judge.engine import Orders
    from selkit.judge.rules import Rule

# Spelt out, so that help loads nothing; a test compares them with the code.
RULES = ("net", "strict", "score-sum", "single")
TEMPLATES = ("two-score", "two-score-no-length", "verdict-letter", "output-ab", "structured")
ORDERS = ("both", "random", "first")
UNPARSED = ("wrong", "tie", "drop")


@click.group("judge")
def command() -> None:
    """Say which of two responses is better."""


@command.command("pairwise")
@click.argument("first", metavar="A.jsonl")
@click.argument("second", metavar="B.jsonl")
@click.option("--judge", required=True, metavar="NAME", help="The judge; `selkit plugins` lists them.")
@options.parameters
@click.option("--orders", type=click.Choice(ORDERS), default="both", show_default=True, help="Who is shown first.")
@click.option("--rule", type=click.Choice(RULES), help="From passes to a verdict; default net, single for one order.")
@click.option("--testset", metavar="FILE|TESTSET", help="Where references are, for judges that need them.")
@click.option("--canaries", is_flag=True, help="Also try to fool the judge; exit code 1 where that works.")
@click.option("--max-cost", type=float, metavar="DOLLARS", help="What this judging may cost in all.")
@click.option("--annotations", metavar="FILE", help="Also write AlpacaEval's annotations.json; A is the model.")
@options.output("Folder for passes.jsonl and summary.json.")
@options.seed
@options.store
@options.as_json
@options.dry_run
@options.force
@options.verbosity
def pairwise(first: str, second: str, **how: Any) -> None:
    """Let a judge say which of two files of responses is better.

    A.jsonl and B.jsonl are responses to the same prompts, joined by id; rates are about A. AlpacaEval's
    model_outputs.json does too, joined by its instructions. The same command again asks only for what has no answer
    yet.
    """
    from dataclasses import replace
    from pathlib import Path

    from selkit.cli.judging import AnnotationsFile, run_and_show
    from selkit.judge.pairwise import PairwiseJob
    from selkit.models.client import ChatService
    from selkit.plugins import build, parse_assignments
    from selkit.store import Store

    job = PairwiseJob.prepare(
        Path(first),
        Path(second),
        build("judge", how["judge"], parse_assignments(how["assignments"])),
        orders=cast("Orders", how["orders"]),
        rule=cast("Rule | None", how["rule"]),
        testset=how["testset"],
        seed=how["seed"],
        canaries=how["canaries"],
    )
    store = Store(Path(how["store"]) if how["store"] else None)
    output = Path(how["output"]) if how["output"] else None
    annotations = None
    if how["annotations"]:
        annotations = AnnotationsFile.prepare(
            Path(how["annotations"]), job, Path(first), Path(second), force=how["force"]
        )
    with ChatService(store, how["max_cost"], purse=job.key) as chat:
        job = replace(job, chat=chat)
        run_and_show(
            job,
            store,
            output,
            annotations=annotations,
            as_json=how["as_json"],
            dry_run=how["dry_run"],
            force=how["force"],
        )


@command.command("replay")
@click.argument("log", metavar="LOG.jsonl")
@click.option("--template", required=True, type=click.Choice(TEMPLATES), help="What the judge was asked for.")
@click.option("--rule", type=click.Choice(RULES), default="net", show_default=True, help="From passes to a verdict.")
@options.as_json
@options.verbosity
def replay(log: str, template: str, rule: str, as_json: bool) -> None:
    """Parse and aggregate a recorded log of a judge again.

    Each line has id, first and second: the judge's text for the order 1, 2 and for the swapped one; and where they are
    known response_1, response_2, and label (1 or 2). Rates are about response_1.
    """
    from pathlib import Path

    from selkit.cli.judging import show_replay
    from selkit.judge.replay import replay_log

    show_replay(replay_log(Path(log), template, cast("Rule", rule)), as_json=as_json)


@command.command("audit")
@click.option("--labels", metavar="FILE", help="What people say: label, or annotator1, annotator2, ...")
@click.option(
    "--verdicts", multiple=True, required=True, metavar="FILE", help="What a judge says; give two to compare judges."
)
@click.option("--column", metavar="NAME", help="Column of verdicts; default verdict, or the only one in _result.")
@click.option(
    "--unparsed", type=click.Choice(UNPARSED), default="wrong", show_default=True, help="What no verdict counts as."
)
@options.as_json
@options.verbosity
def audit(labels: str | None, verdicts: tuple[str, ...], column: str | None, unparsed: str, as_json: bool) -> None:
    """Compare a judge with people's labels, or with another judge.

    Files are joined on idx or id; labels and verdicts are 0 or tie, 1 and 2. A passes.jsonl does for either.
    """
    from pathlib import Path

    from selkit.cli.judging import show_audit

    show_audit(
        Path(labels) if labels else None,
        [Path(path) for path in verdicts],
        cast("Unparsed", unparsed),
        column,
        as_json=as_json,
    )


@command.command("export")
@click.argument("first", metavar="A.jsonl")
@click.argument("second", metavar="B.jsonl")
@click.option("--judge", default="human", show_default=True, metavar="NAME", help="A judge that answers later.")
@options.parameters
@options.output("Folder for what goes out: new, or empty.", required=True)
@options.seed
@options.as_json
@options.force
@options.verbosity
def export(
    first: str,
    second: str,
    judge: str,
    assignments: tuple[str, ...],
    output: str,
    seed: int,
    as_json: bool,
    force: bool,
) -> None:
    """Write comparisons for people to label.

    A.jsonl and B.jsonl are responses to the same prompts, joined by id. `selkit judge import` reads the labels back.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.judge.exchange import export_comparisons
    from selkit.plugins import parse_assignments

    console = get_console()
    done = export_comparisons(
        Path(first), Path(second), Path(output), judge, parse_assignments(assignments), seed=seed, force=force
    )
    if done.unmatched:
        shown = ", ".join(done.unmatched[:3]) + (", ..." if len(done.unmatched) > 3 else "")
        console.note(f"{len(done.unmatched)} ids are in one file alone and were left out: {shown}")
    if as_json:
        console.result(json.dumps(done.to_dict(), indent=1, ensure_ascii=False))
        return
    equal = f" ({done.equal} with equal responses are ties and need no label)" if done.equal else ""
    console.result(f"{done.comparisons} comparisons{equal}: send {done.send}")
    console.note(f"When the labels are back: selkit judge import {done.directory} -o passes.jsonl")


@command.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="DIR|LABELS.csv...")
@options.parameters
@click.option("-o", "--output", required=True, metavar="FILE", help="The file of passes to write (JSON Lines).")
@options.as_json
@options.force
@options.verbosity
def import_(paths: tuple[str, ...], assignments: tuple[str, ...], output: str, as_json: bool, force: bool) -> None:
    """Turn labels that came back into passes.

    DIR is the folder that `selkit judge export` wrote, with the labels filled in; or name DIR and the files that came
    back. Rows that cannot be used are named, and none is guessed.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.judge.exchange import import_labels
    from selkit.plugins import parse_assignments

    console = get_console()
    done = import_labels([Path(path) for path in paths], Path(output), parse_assignments(assignments), force=force)
    facts = done.to_dict()
    if as_json:
        console.result(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    score = "" if facts["first_score"] is None else f"; mean score of the first responses {facts['first_score']:.3f}"
    console.result(f"{facts['with_verdict']} of {facts['passes']} comparisons have a verdict{score}: {output}")
    for reason, count in facts["without_verdict"].items():
        console.note(f"{count} without a verdict: {reason}")
