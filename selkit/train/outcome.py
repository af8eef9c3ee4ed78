"""What a training leaves behind: the report, and the folder of the trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selkit.files import atomic_write_text
from selkit.train.job import Finished, Job
from selkit.train.loop import load_weights
from selkit.train.preflight import model_config
from selkit.train.report import REPORT, TrainReport

_CURVE_POINTS = 1000


def make_report(job: Job, finished: Finished) -> TrainReport:
    """The report of a training that has run."""
    state, prepared, recipe = finished.trainer.state, job.prepared, job.recipe
    curve = [(int(entry["step"]), float(entry["loss"])) for entry in state.log_history if "loss" in entry]
    tokens = max((entry.get("num_tokens", 0.0) for entry in state.log_history), default=0.0)
    return TrainReport(
        model=job.folder.ref,
        model_digest=job.folder.digest,
        recipe=recipe.as_dict(),
        template={"name": job.check.template.name, "digest": job.check.template.digest},
        data=job.pool.fingerprint,
        turns=job.pool.turns,
        n_selected=len(job.pool),
        n_trained=len(prepared.trained),
        n_truncated=len(prepared.truncated),
        n_dropped=len(job.pool) - len(prepared.trained),
        n_merged=len(prepared.merged),
        n_sequences=len(prepared.kept),
        dropped=prepared.dropped,
        max_length=prepared.max_length,
        supervised_tokens=prepared.supervised_tokens,
        total_tokens=prepared.total_tokens,
        steps=state.global_step,
        epochs=passes(state.global_step, recipe.batch_size, finished.sequences),
        loss_curve=thinned(curve),
        final_loss=curve[-1][1],
        batch_size=recipe.batch_size,
        micro_batch=finished.plan.micro,
        accumulation=finished.plan.accumulation,
        seeds={"training": job.options.seed},
        versions=job.versions,
        device=job.options.device,
        precision="bf16" if finished.trainer.args.bf16 else "float32",
        threads=job.threads,
        seconds=finished.seconds,
        tokens_per_second=tokens / finished.seconds,
        resumed_from=finished.resumed_from,
        halvings=finished.halvings,
        processes=job.options.ranks.world,
        deepspeed=job.options.deepspeed,
    )


def passes(steps: int, batch_size: int, sequences: int) -> float:
    """Passes over the data in ``steps`` steps; the last step of a pass takes what is left of it."""
    whole, more = divmod(steps, -(-sequences // batch_size))
    return whole + min(more * batch_size, sequences) / sequences


def thinned(curve: Sequence[tuple[int, float]], points: int = _CURVE_POINTS) -> tuple[tuple[int, float], ...]:
    """At most about ``points`` of the curve, evenly spaced, the last one among them."""
    stride = -(-len(curve) // points) if curve else 1
    kept = list(curve[::stride])
    return tuple(kept if not curve or kept[-1] == curve[-1] else [*kept, curve[-1]])


def save_model(job: Job, finished: Finished, report: TrainReport, folder: Path) -> None:
    """Writes weights as safetensors (adapters also merged, so that any engine can load the folder) and the report."""
    folder.mkdir(parents=True)
    model = finished.trainer.model  # not wrapped, in however many processes it was trained
    model.config.use_cache = model_config(job.folder.path).get("use_cache", True)  # the trainer turned it off
    if job.recipe.lora is not None:
        model.peft_config["default"].base_model_name_or_path = job.folder.ref
        model.save_pretrained(folder / "adapter", state_dict=finished.weights)
        model = _merged(job, folder / "adapter") if finished.weights else model.merge_and_unload()
        model.save_pretrained(folder)
    else:
        model.save_pretrained(folder, state_dict=finished.weights)
    for key in ("is_local", "local_files_only"):  # how it was loaded here is no property of the tokenizer
        job.tokenizer.init_kwargs.pop(key, None)
    job.tokenizer.save_pretrained(folder)
    atomic_write_text(folder / REPORT, report.to_json())
    mode = (folder / "config.json").stat().st_mode
    for path in folder.rglob("*.safetensors"):
        path.chmod(mode)  # safetensors lets only the owner read


def _merged(job: Job, adapter: Path) -> Any:
    """The base model with the adapters in ``adapter``: no process that trained holds all of the base."""
    from peft import PeftModel
    from transformers.integrations import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()  # else the base would be spread over the processes again
    base = load_weights(job.folder.path, job.recipe)
    base.config.use_cache = model_config(job.folder.path).get("use_cache", True)
    return PeftModel.from_pretrained(base, adapter).merge_and_unload()
