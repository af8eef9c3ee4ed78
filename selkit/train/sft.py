"""Supervised fine-tuning of a model on a pool, under a recipe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import DataError, Pool, UsageError, WorkFailed
from selkit.console import get_console
from selkit.files import full_disk, is_full
from selkit.models import ModelFolder, default_device, resolve
from selkit.train.apart import refuse_mixed_rows
from selkit.train.batches import BatchPlan, TooLarge, plan_batches, rows_that_fit
from selkit.train.job import Finished, Job, Options
from selkit.train.launch import launch
from selkit.train.loop import (
    LoopSettings,
    deal_evenly,
    is_out_of_memory,
    load_weights,
    make_trainer,
    sft_config,
    whole_weights,
)
from selkit.train.outcome import make_report, save_model
from selkit.train.preflight import TrainCheck, check_training, model_config
from selkit.train.ranks import Ranks, joined
from selkit.train.recipes import Recipe, load_recipe
from selkit.train.report import TrainReport
from selkit.train.sequences import prepare
from selkit.train.turns import training_pairs
from selkit.train.workplace import Workplace, check_output, claimed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHECKPOINT_SECONDS = 300.0
"""Time between checkpoints: what a kill costs at most."""


def train(
    model: str,
    data: Pool | Path | str,
    recipe: str | Mapping[str, Any] | Recipe,
    output: Path | str,
    *,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = True,
    force: bool = False,
    partial: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    processes: int = 1,
    deepspeed: str | None = None,
) -> TrainReport:
    """Fine-tunes ``model`` on ``data`` and writes the trained model, its tokenizer and ``training.json``.

    Rows are put in the order of their ids first, so that the same rows and the same seed give the same weights however
    the rows came. On a CPU with a fixed number of threads they are the same to the last bit. A killed training goes on
    from its last checkpoint on a CPU, where that gives those very weights; on a GPU it starts again.

    Args:
        model: Reference of the model to start from.
        data: The rows to train on, or where to read them.
        recipe: The recipe: its name, its fields, or itself.
        output: Folder for the trained model. It appears when all of it is written.
        seed: Fixes the order of the rows and everything that is drawn.
        device: 'cpu' or 'cuda'; by default a GPU where there is one.
        threads: CPU threads of torch in each process; None takes as many as torch has, or shares them out.
        resume: Whether to go on from the checkpoint of a killed training.
        force: Whether to replace an earlier trained model.
        partial: Folder to work in, on the file system of ``output``; by default a hidden one beside it.
        checkpoint_seconds: Time between checkpoints.
        processes: Processes that train together, one a GPU; selkit starts them on this machine. Where a launcher
            (torchrun, accelerate) has started this very call in each of several processes, they train together as
            they are, on however many machines; the output must lie where all of them see it.
        deepspeed: 'zero-2', 'zero-3', 'zero-2-offload' or 'zero-3-offload' spreads what training keeps over them.

    Returns:
        The report that also stands in ``training.json``.

    Raises:
        MissingExtra: The packages for training are not installed.
        UsageError: The recipe is unknown, or asks for what this model or machine does not have; or the seed is no seed.
        DataError: The model or the data is missing or cannot be used, or the output cannot be written.
        WorkFailed: The training diverged, or one row does not fit into memory.
    """
    recipe = load_recipe(recipe)
    if not 0 <= seed < 2**32:
        raise UsageError(f"the seed is {seed}, and numpy takes one from 0 to {2**32 - 1}: choose another")
    output = Path(output)
    check_output(output, force=force)
    pool = _in_id_order(data)
    device = device or default_device()
    check = check_training(model, pool, recipe, device=device, processes=processes, deepspeed=deepspeed)
    ranks = Ranks.here()
    if ranks.is_main:
        for note in check.notes:
            get_console().note(note)
    if not ranks.launched and (processes > 1 or deepspeed):
        job = {"model": model, "recipe": recipe.as_dict(), "output": str(output.absolute()), "seed": seed}
        job |= {"device": device, "resume": resume, "force": force, "checkpoint_seconds": checkpoint_seconds}
        job |= {"partial": str(partial.absolute())} if partial else {}
        launch(job | {"processes": processes, "deepspeed": deepspeed}, pool, processes, device, threads)
        return TrainReport.read(output)
    options = Options(seed, device, threads, resume, checkpoint_seconds, deepspeed, ranks)
    with joined(ranks, device, deepspeed), _claimed_by_main(ranks, output, partial, force) as place:
        return _train(resolve(model), pool, recipe, check, options, place)


@contextmanager
def _claimed_by_main(ranks: Ranks, output: Path, partial: Path | None, force: bool) -> Iterator[Workplace]:
    """The place of the training, held by process 0 for all."""
    with ExitStack() as stack:
        yield ranks.share(lambda: stack.enter_context(claimed(output, partial, force=force)))


def _in_id_order(data: Pool | Path | str) -> Pool:
    if isinstance(data, Pool):
        return data.take(sorted(data.ids))
    from selkit.pools import load_pool

    return _in_id_order(load_pool(data))


def _train(
    folder: ModelFolder, pool: Pool, recipe: Recipe, check: TrainCheck, options: Options, place: Workplace
) -> TrainReport:
    from selkit.train.quiet import own_threads, quiet_libraries

    with quiet_libraries(), own_threads(options.threads) as threads:
        tokenizer = _load_tokenizer(folder)
        prepared = prepare(training_pairs(pool, check.template), tokenizer, check.max_length)
        if not prepared.kept:
            raise DataError(f"no row of pool {pool.name!r} can be trained on: {prepared.dropped[0].reason}")
        job = Job(folder, pool, recipe, check, options, threads, tokenizer, prepared)
        try:
            finished = _run(job, place)
            return options.ranks.share(lambda: _keep(job, finished, place))
        except TooLarge:
            raise  # what was learnt of the batch stays in the place
        except WorkFailed:
            if options.ranks.is_main:
                place.forget_halvings()
                place.clear()
            raise
        except Exception as error:
            if is_full(error):
                raise full_disk(place.output, 0, error) from error
            raise


def _keep(job: Job, finished: Finished, place: Workplace) -> TrainReport:
    """Writes the trained model and puts it in its place."""
    _check_finite(finished)
    report = make_report(job, finished)
    save_model(job, finished, report, place.result)
    place.commit()
    return report


def _load_tokenizer(folder: ModelFolder) -> PreTrainedTokenizerBase:
    from selkit.models.load import read_tokenizer

    tokenizer: PreTrainedTokenizerBase = read_tokenizer(folder)
    if tokenizer.eos_token is None:
        raise DataError(f"the tokenizer of model {folder.ref!r} has no end-of-sequence token: set its eos_token")
    return tokenizer


def _run(job: Job, place: Workplace) -> Finished:
    """Trains; a batch that does not fit into memory is halved, accumulation doubled, and training starts again."""
    ranks = job.options.ranks
    largest = _plan(job)
    plan: BatchPlan | None = largest
    uncut = job.identity(largest)
    halvings = ranks.share(lambda: place.halvings(uncut))
    for _ in range(halvings):
        plan = plan.halved() if plan else None
    while plan is not None:
        checkpoint = _begin(job, plan, place)
        try:
            return _attempt(job, plan, checkpoint, place.checkpoints, halvings)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        halvings += 1
        if ranks.world > 1:
            # The others wait in the middle of a step for what this process will never send: all have to start again.
            place.remember_halvings(uncut, halvings)
            raise TooLarge(f"{plan.micro} rows at once do not fit into the memory of a process; trying fewer")
        get_console().note(f"{plan.micro} rows at once do not fit into memory; trying fewer")
        _release_memory()
        plan = plan.halved()
    raise WorkFailed(
        f"one sequence of {job.prepared.longest} tokens does not fit into memory: lower max_length or turn on "
        "gradient_checkpointing"
    )


def _begin(job: Job, plan: BatchPlan, place: Workplace) -> Path | None:
    identity, resume = job.identity(plan), job.options.checkpoints
    return job.options.ranks.share(lambda: place.begin(identity, resume=resume))


def _plan(job: Job) -> BatchPlan:
    memory = _gpu_memory() if job.options.device == "cuda" else None
    config = model_config(job.folder.path)
    fits = rows_that_fit(config, job.prepared.longest, memory, job.recipe.gradient_checkpointing)
    plan = plan_batches(job.recipe.batch_size, job.recipe.micro_batch or fits, job.options.ranks.world)
    if plan is None:
        raise UsageError(f"a batch of {job.recipe.batch_size} rows cannot be cut up")
    return plan


def _attempt(job: Job, plan: BatchPlan, checkpoint: Path | None, folder: Path, halvings: int) -> Finished:
    from selkit.train.quiet import own_randomness
    from selkit.train.watch import Watch

    options, recipe = job.options, job.recipe
    settings = LoopSettings(
        folder, options.seed, options.device, job.check.max_length, options.deepspeed, options.ranks
    )
    with own_randomness(options.seed):
        config = sft_config(recipe, plan, settings)  # before the weights: DeepSpeed spreads them as they load
        model = load_weights(job.folder.path, recipe)
        refuse_mixed_rows(model, recipe, whole=not (options.deepspeed or "").startswith("zero-3"))
        trainer = make_trainer(model, job.tokenizer, job.prepared, recipe, config)
        sequences = len(trainer.train_dataset)
        sampler = deal_evenly(trainer, plan, options.seed) if plan.devices > 1 else None
        interval = options.checkpoint_seconds if options.checkpoints else None
        trainer.add_callback(Watch(interval, f"training under {recipe.name}", options.ranks, sampler))
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        seconds = time.perf_counter() - started
    resumed_from = None if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
    return Finished(trainer, plan, sequences, seconds, resumed_from, halvings, whole_weights(trainer))


def _check_finite(finished: Finished) -> None:
    """The last update can still ruin the weights, after the last loss was taken."""
    import torch

    from selkit.train.watch import diverged

    trainer = finished.trainer
    weights = finished.weights.values() if finished.weights else trainer.model.parameters()
    if not all(bool(torch.isfinite(weight).all()) for weight in weights):
        raise diverged(trainer.state.global_step, "the weights are no longer finite")


def _gpu_memory() -> int:
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def _release_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
