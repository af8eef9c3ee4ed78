"""Supervised fine-tuning of a model on a pool, under a recipe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import DataError, Pool, UsageError, WorkFailed
from selkit.console import get_console
from selkit.files import full_disk, is_full
from selkit.models import ModelFolder, default_device, resolve
from selkit.train.batches import BatchPlan, plan_batches, rows_that_fit
from selkit.train.job import Finished, Job, Options
from selkit.train.loop import LoopSettings, is_out_of_memory, load_weights, make_trainer
from selkit.train.outcome import make_report, save_model
from selkit.train.preflight import TrainCheck, check_training, model_config
from selkit.train.recipes import Recipe, load_recipe
from selkit.train.report import TrainReport
from selkit.train.sequences import prepare
from selkit.train.turns import training_pairs
from selkit.train.workplace import Workplace, check_output, claimed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTTrainer

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
        threads: CPU threads of torch; None takes as many as torch has.
        resume: Whether to go on from the checkpoint of a killed training.
        force: Whether to replace an earlier trained model.
        partial: Folder to work in, on the file system of ``output``; by default a hidden one beside it.
        checkpoint_seconds: Time between checkpoints.

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
    check = check_training(model, pool, recipe, device=device)
    for note in check.notes:
        get_console().note(note)
    options = Options(seed, device, threads, resume, checkpoint_seconds)
    with claimed(output, partial, force=force) as place:
        return _train(resolve(model), pool, recipe, check, options, place)


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
            report = make_report(job, finished)
            save_model(job, finished, report, place.result)
        except WorkFailed:
            place.clear()
            raise
        except Exception as error:
            if is_full(error):
                raise full_disk(place.output, 0, error) from error
            raise
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
    plan: BatchPlan | None = _plan(job)
    halvings = 0
    while plan is not None:
        checkpoint = place.begin(job.identity(plan), resume=job.options.checkpoints)
        try:
            return _attempt(job, plan, checkpoint, place.checkpoints, halvings)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            get_console().note(f"{plan.micro} rows at once do not fit into memory; trying fewer")
        _release_memory()
        plan, halvings = plan.halved(), halvings + 1
    raise WorkFailed(
        f"one sequence of {job.prepared.longest} tokens does not fit into memory: lower max_length or turn on "
        "gradient_checkpointing"
    )


def _plan(job: Job) -> BatchPlan:
    memory = _gpu_memory() if job.options.device == "cuda" else None
    config = model_config(job.folder.path)
    fits = rows_that_fit(config, job.prepared.longest, memory, job.recipe.gradient_checkpointing)
    plan = plan_batches(job.recipe.batch_size, job.recipe.micro_batch or fits)
    if plan is None:
        raise UsageError(f"a batch of {job.recipe.batch_size} rows cannot be cut up")
    return plan


def _attempt(job: Job, plan: BatchPlan, checkpoint: Path | None, folder: Path, halvings: int) -> Finished:
    from selkit.train.quiet import own_randomness
    from selkit.train.watch import Watch

    options = job.options
    settings = LoopSettings(folder, options.seed, options.device, job.check.max_length)
    watch = Watch(options.checkpoint_seconds if options.checkpoints else None, f"training under {job.recipe.name}")
    with own_randomness(options.seed):
        model = load_weights(job.folder.path, job.recipe)
        trainer = make_trainer(model, job.tokenizer, job.prepared, job.recipe, plan, settings, watch)
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        seconds = time.perf_counter() - started
    _check_finite(trainer)
    resumed_from = None if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
    return Finished(trainer, plan, seconds, resumed_from, halvings)


def _check_finite(trainer: SFTTrainer) -> None:
    """The last update can still ruin the weights, after the last loss was taken."""
    import torch

    from selkit.train.watch import diverged

    if not all(bool(torch.isfinite(weight).all()) for weight in trainer.model.parameters()):
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
