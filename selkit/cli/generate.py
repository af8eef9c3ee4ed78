"""``selkit generate``: let a model answer prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from selkit.cli import options

if TYPE_CHECKING:
    from selkit.models.conversations import AnsweredTurns


@click.command("generate")
@click.argument("model")
@click.option("--prompts", required=True, metavar="FILE|TESTSET", help="The prompts: a file, or a named test set.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The file of responses to write (JSON Lines).")
@click.option("--decoding", default="greedy", show_default=True, metavar="NAME", help="greedy or car.")
@click.option("--samples", type=click.IntRange(min=1), metavar="S", help="Answers per prompt.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer, in tokens.")
@click.option(
    "--template", metavar="NAME", help="alpaca (the default), wizardlm, plain, or chat (the default of a server)."
)
@click.option(
    "--turns",
    type=click.Choice(("first", "all")),
    default="first",
    show_default=True,
    help="Of conversations, the first turn or all of them, each after the model's own answers.",
)
@click.option("--model-outputs", metavar="FILE", help="Also write the answers as AlpacaEval's model_outputs.json.")
@options.engine
@click.option("--device", metavar="NAME", help="cpu or cuda; by default a GPU where there is one.")
@options.max_cost
@options.seed
@options.store
@options.as_json
@options.dry_run
@options.force
@options.verbosity
def command(
    model: str,
    prompts: str,
    output: str,
    decoding: str,
    samples: int | None,
    max_new_tokens: int | None,
    template: str,
    turns: str,
    model_outputs: str | None,
    engine: str | None,
    device: str | None,
    max_cost: float | None,
    seed: int,
    store: str | None,
    as_json: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Let MODEL answer prompts, one line of JSON per answer.

    MODEL is a folder, hub:NAME[@REVISION], pypi:NAME==VERSION or tiny:NAME; with --engine openai the name of a served
    model, or URL#NAME. The same command again, after a kill, goes
    on with the prompts that have no answer yet.
    """
    import json
    from pathlib import Path

    from selkit.console import get_console
    from selkit.evals.alpaca_eval import check_model_outputs, write_model_outputs
    from selkit.files import digest_text
    from selkit.models.client import ChatService
    from selkit.models.engines import engine_of
    from selkit.models.generate import GenerationJob, run_generation
    from selkit.store import Store

    where = Store(Path(store) if store else None)
    # the same command shares one purse, so that a cap holds over attempts
    with ChatService(where, max_cost, purse=digest_text(f"generate\0{model}\0{prompts}\0{output}")) as chat:
        job = GenerationJob.prepare(
            model,
            prompts,
            decoding=decoding,
            samples=samples,
            max_new_tokens=max_new_tokens,
            template=template,
            seed=seed,
            engine=engine_of(engine, device, chat),
            turns=cast("AnsweredTurns", turns),
        )
        if model_outputs:
            check_model_outputs(Path(model_outputs), model, force=force, single=job.decoding.samples == 1)
        if dry_run:
            later = sum(len(prompt.turns) for prompt in job.testset.prompts) if turns == "all" else 0
            count = len(job.testset.prompts) * job.decoding.samples + later
            get_console().result(f"would write {count} answers of {model} to {job.testset.name} into {output}")
            return
        report = run_generation(job, Path(output), store=where, force=force)
    if model_outputs:
        write_model_outputs(report.output, Path(model_outputs), model)
    get_console().note(f"{report.answers} answers, {report.tokens} tokens, {report.cut} cut at the limit")
    get_console().result(json.dumps(report.as_dict(), indent=2) if as_json else str(report.output))
