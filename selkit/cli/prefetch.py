"""``selkit eval prefetch``: fetch what an evaluation needs, for a machine without a network."""

from __future__ import annotations

import click

from selkit.cli import options


@click.command("prefetch")
@click.argument("experiment", required=False)
@click.option("-b", "--benchmark", "names", multiple=True, metavar="NAME", help="Benchmark, group or test set.")
@options.output("Folder to write rows to, for --data; by default where `selkit eval` looks by itself.")
@options.as_json
@options.verbosity
def command(experiment: str | None, names: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Fetch the data sets and models that EXPERIMENT or benchmarks need.

    Models and data sets go to the hub's own cache (HF_HOME), rows of benchmarks also to selkit's ($SELKIT_CACHE): copy
    both to the machine without a network. What is here already is left alone. Exit code 1 where something is missing.
    """
    import json
    from itertools import chain
    from pathlib import Path

    from selkit.api import UsageError, WorkFailed
    from selkit.console import get_console
    from selkit.experiment.outlook.prefetch import prefetch_experiment, prefetch_names
    from selkit.experiment.spec.loading import load_spec

    if experiment is None and not names:
        raise UsageError("name an EXPERIMENT, or a benchmark with -b")
    console, target = get_console(), Path(output) if output else None
    spec = load_spec(Path(experiment)) if experiment else None
    found = list(chain(prefetch_names(names, target=target), prefetch_experiment(spec, target=target) if spec else ()))
    missing = [item for item in found if item.state == "missing"]
    if as_json:
        console.result(json.dumps([item.to_dict() for item in found], indent=2, ensure_ascii=False))
    else:
        console.table("", ("", "name", "state"), [[item.kind, item.name, item.state] for item in found])
        for item in missing:
            console.result(f"{item.kind} {item.name} is missing: {item.reason}.")
    if missing:
        first = missing[0]
        raise WorkFailed(
            f"{len(missing)} of {len(found)} are missing, the first of them {first.kind} {first.name}: see what is "
            "said of each, then run the same command again"
        )
