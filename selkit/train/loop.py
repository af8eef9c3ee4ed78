"""TRL's SFTTrainer under a recipe: its settings, what watches it, and the loop that halves what does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selkit.api import ContractViolation
from selkit.train.batches import BatchPlan
from selkit.train.machine import deepspeed_config
from selkit.train.ranks import Ranks
from selkit.train.recipes import Recipe
from selkit.train.sequences import Prepared, with_end

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig, SFTTrainer

_OPTIMIZERS = {"adamw": "adamw_torch_fused", "adafactor": "adafactor", "sgd": "sgd"}
_ATTENTION = {"auto": None, "sdpa": "sdpa", "eager": "eager", "flash": "flash_attention_2"}
_BATCH = 1024

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs beside the recipe.

    Args:
        folder: Where checkpoints go.
        seed: Fixes the order of the rows and everything drawn.
        device: 'cpu' or 'cuda'.
        max_length: Longest sequence, in tokens.
        deepspeed: Name of a DeepSpeed preset, or None.
        ranks: This process among those that train together.
    """

    folder: Path
    seed: int
    device: str
    max_length: int
    deepspeed: str | None = None
    ranks: Ranks = field(default_factory=Ranks)


def sft_config(recipe: Recipe, plan: BatchPlan, settings: LoopSettings) -> SFTConfig:
    """The recipe in TRL's words."""
    from trl import SFTConfig

    cpu = settings.device == "cpu"
    numbers = arithmetic(recipe, settings.device)
    half = numbers["bf16"] is True
    warm = recipe.scheduler == "constant" and recipe.warmup > 0
    return SFTConfig(
        output_dir=str(settings.folder),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="constant_with_warmup" if warm else recipe.scheduler,
        lr_scheduler_kwargs=dict(recipe.scheduler_kwargs),
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        optim=_OPTIMIZERS[recipe.optimizer],
        max_grad_norm=recipe.max_grad_norm,
        per_device_train_batch_size=plan.micro,
        gradient_accumulation_steps=plan.accumulation,
        num_train_epochs=recipe.epochs or 1,
        max_steps=recipe.max_steps or -1,
        max_length=settings.max_length,
        packing=recipe.packing,
        completion_only_loss=True,
        neftune_noise_alpha=recipe.neftune_alpha,
        gradient_checkpointing=recipe.gradient_checkpointing,
        **numbers,
        use_cpu=cpu and settings.deepspeed is None,  # accelerate's way of naming the CPU knows no DeepSpeed
        deepspeed=deepspeed_config(settings.deepspeed, half) if settings.deepspeed else None,
        accelerator_config={"use_configured_state": True} if settings.ranks.launched else None,
        ddp_find_unused_parameters=False if settings.ranks.launched and settings.deepspeed is None else None,
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
        save_total_limit=2,
        dataloader_pin_memory=not cpu,
    )


def arithmetic(recipe: Recipe, device: str, capable: bool | None = None) -> dict[str, bool | None]:
    """Which numbers training computes with, in TRL's words: bf16 with tf32 on a GPU, float32 on a CPU.

    Args:
        recipe: The recipe; its precision 'float32' holds on a GPU too.
        device: 'cpu' or 'cuda'.
        capable: Whether the GPU computes in bf16; by default torch is asked. One that does not takes float32.
    """
    half = device != "cpu" and recipe.precision != "float32" and (gpu_has_bf16() if capable is None else capable)
    return {"bf16": half, "tf32": True if half else None}


def precision_on(recipe: Recipe, device: str, *, elsewhere: bool = False) -> str:
    """What training computes in: 'float32' or 'bf16'.

    Args:
        recipe: The recipe.
        device: 'cpu' or 'cuda'.
        elsewhere: Whether the GPU is another machine's, which cannot be asked: it is taken to compute in bf16.
    """
    return "bf16" if arithmetic(recipe, device, True if elsewhere else None)["bf16"] else "float32"


def gpu_has_bf16() -> bool:
    """Whether the GPU computes in bf16 by itself (from NVIDIA's Ampere on), which is also where tf32 is."""
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def load_weights(folder: Path, recipe: Recipe) -> Any:
    """The model in float32: on a GPU, bf16 is used for the arithmetic and not for the weights that are updated."""
    import torch
    from transformers import AutoModelForCausalLM

    options = {} if recipe.attention == "auto" else {"attn_implementation": _ATTENTION[recipe.attention]}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **options)


def lora_config(recipe: Recipe) -> Any:
    """The recipe's adapters in PEFT's words, or None."""
    if recipe.lora is None:
        return None
    from peft import LoraConfig

    every = recipe.lora.targets == ("all-linear",)
    return LoraConfig(
        r=recipe.lora.r,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules="all-linear" if every else list(recipe.lora.targets),
        task_type="CAUSAL_LM",
    )


def make_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prepared: Prepared,
    recipe: Recipe,
    config: SFTConfig,
) -> SFTTrainer:
    """The trainer, after a check that TRL sees the very tokens that were counted.

    Raises:
        ContractViolation: It does not; then the counts of the report would be wrong.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    pairs = [item.pair for item in prepared.kept]
    columns = {
        "prompt": [pair.prompt for pair in pairs],
        "completion": [with_end(pair.response, tokenizer) for pair in pairs],
    }
    config._n_gpu = min(config.n_gpu, 1)  # one process, one GPU: TRL refuses DataParallel
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=lora_config(recipe),
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for results
    _compare_counts(trainer, prepared, recipe)
    # Turned on late: TRL cuts rows at max_length only where it believes that they will be padded.
    trainer.padding_free = trainer.data_collator.padding_free = trainer.padding_free or recipe.padding_free
    return trainer


def deal_evenly(trainer: SFTTrainer, plan: BatchPlan, seed: int) -> Any:
    """Makes the trainer deal every step's rows to all processes just as one process would take them.

    accelerate fills the last batches with rows from the beginning, so that some would count twice. Rows without any
    supervised token come instead: they change neither the loss nor the gradient.

    Returns:
        The sampler, which wants to hear which pass over the data begins.
    """
    from accelerate.data_loader import SeedableRandomSampler
    from datasets import concatenate_datasets

    rows = trainer.train_dataset
    missing = -len(rows) % (plan.micro * plan.devices)
    if missing:
        empty = rows.select([0] * missing).map(_unsupervised, load_from_cache_file=False)
        trainer.train_dataset = concatenate_datasets([rows, empty.cast(rows.features)])
    sampler = _padded(SeedableRandomSampler(range(len(rows)), data_seed=seed), missing)
    trainer._get_train_sampler = lambda dataset=None: sampler
    return sampler


def _unsupervised(row: dict[str, Any]) -> dict[str, Any]:
    return {"labels": [-100] * len(row["labels"])}


def _padded(inner: Any, missing: int) -> Any:
    """Row numbers in the order of ``inner``, then those of the empty rows that stand behind all others."""
    from torch.utils.data import Sampler

    class Padded(Sampler):  # type: ignore[misc]
        def __iter__(self) -> Iterator[int]:
            yield from inner
            yield from range(len(inner), len(self))

        def __len__(self) -> int:
            return len(inner) + missing

        def set_epoch(self, epoch: int) -> None:
            inner.set_epoch(epoch)

    return Padded()


def whole_weights(trainer: SFTTrainer) -> dict[str, Any] | None:
    """The weights of all processes together in process 0, where each holds a part of them; else None."""
    if not trainer.is_deepspeed_enabled or trainer.accelerator.deepspeed_plugin.zero_stage < 3:
        return None
    weights: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.deepspeed)
    return weights or {}


def _compare_counts(trainer: SFTTrainer, prepared: Prepared, recipe: Recipe) -> None:
    batches = trainer.train_dataset.with_format("arrow").iter(batch_size=_BATCH)
    supervised = sum(_supervised(batch["labels"]) for batch in batches)
    rows_differ = not recipe.packing and len(trainer.train_dataset) != len(prepared.kept)
    if rows_differ or supervised != prepared.supervised_tokens:
        raise ContractViolation(
            f"TRL prepared {len(trainer.train_dataset)} sequences with {supervised} supervised tokens where selkit "
            f"counted {len(prepared.kept)} with {prepared.supervised_tokens}, so this version of TRL treats prompts in "
            "another way: install one that selkit was tested with"
        )


def _supervised(labels: Any) -> int:
    import pyarrow.compute as pc

    return pc.sum(pc.not_equal(pc.list_flatten(labels), -100)).as_py() or 0


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch gave up for want of memory, on a GPU or on the CPU."""
    return any(words in str(error).lower() for words in _OUT_OF_MEMORY)
