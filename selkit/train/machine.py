"""How many processes train together, and DeepSpeed: how the work is spread, and not what is computed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from selkit.api import MissingExtra, UsageError
from selkit.plugins.suggest import did_you_mean
from selkit.train.ranks import Ranks

_OFFLOADED = {"device": "cpu", "pin_memory": False}

DEEPSPEED: Mapping[str, Mapping[str, Any]] = {
    "zero-2": {"stage": 2},
    "zero-3": {"stage": 3},
    "zero-2-offload": {"stage": 2, "offload_optimizer": _OFFLOADED},
    "zero-3-offload": {"stage": 3, "offload_optimizer": _OFFLOADED, "offload_param": _OFFLOADED},
}
"""DeepSpeed's presets: what of its ``zero_optimization`` each sets. Stage 2 spreads the optimiser's state and the
gradients over the processes, stage 3 the weights too; ``offload`` keeps what is spread in the memory of the CPU."""


def deepspeed_config(preset: str, half: bool) -> dict[str, Any]:
    """The preset in DeepSpeed's words; 'auto' is filled in from the recipe by transformers.

    The optimiser stays torch's own, so that nothing has to be compiled and every preset computes the same.

    Args:
        preset: Name of a preset.
        half: Whether the arithmetic is in bf16.
    """
    stage = DEEPSPEED[preset]
    gather = {"stage3_gather_16bit_weights_on_model_save": True} if stage["stage"] == 3 else {}
    return {
        "zero_optimization": {**stage, **gather},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "fp16": {"enabled": False},
        "bf16": {"enabled": half},
    }


def check_machine(processes: int, deepspeed: str | None, device: str, *, elsewhere: bool = False) -> int:
    """Refuses what this machine, or the launcher that started this process, cannot give.

    Args:
        processes: Processes asked for; 1 takes as many as a launcher started.
        deepspeed: Name of a DeepSpeed preset, or None.
        device: 'cpu' or 'cuda'.
        elsewhere: Whether another machine trains, whose GPUs cannot be counted.

    Returns:
        Processes that train together.

    Raises:
        UsageError: An unknown preset; more processes than GPUs; another number than the launcher started.
        MissingExtra: DeepSpeed is not installed.
    """
    if deepspeed is not None and deepspeed not in DEEPSPEED:
        hint = did_you_mean(deepspeed, DEEPSPEED)
        raise UsageError(f"there is no DeepSpeed preset {deepspeed!r}: take one of {', '.join(DEEPSPEED)}.{hint}")
    if processes < 1:
        raise UsageError(f"{processes} processes cannot train: take 1 or more")
    if deepspeed is not None and importlib.util.find_spec("deepspeed") is None:
        raise MissingExtra.of(f"DeepSpeed's {deepspeed}", "deepspeed")
    ranks = Ranks.here()
    if ranks.launched:
        if processes not in (1, ranks.world):
            raise UsageError(
                f"a launcher started {ranks.world} processes and {processes} were asked for: name one number"
            )
        return ranks.world
    if not elsewhere:
        _check_gpus(processes, device)
    return processes


def _check_gpus(processes: int, device: str) -> None:
    if device != "cuda" or processes == 1:
        return
    import torch

    found = torch.cuda.device_count()
    if processes > found:
        raise UsageError(
            f"{processes} processes were asked for, and torch finds {found} GPUs here: take {found} or fewer"
        )


def rank_environment(rank: int, world: int, port: int, device: str, threads: int | None) -> dict[str, str]:
    """The environment of one of ``world`` processes that selkit starts on this machine."""
    import sys

    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the launcher holds the store, on a port that the system chose
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    if device == "cpu":
        own |= {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
    if threads is not None:
        own |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    usual = {"TOKENIZERS_PARALLELISM": "false", "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {**usual, **os.environ, **own}
