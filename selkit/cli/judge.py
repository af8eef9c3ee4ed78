"""``selkit judge``: say which of two responses is better."""

from __future__ import annotations

import click

from selkit.cli import options


@click.group("judge")
def command() -> None:
    """Say which of two responses is better."""


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
