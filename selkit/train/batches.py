"""How many rows go through the model at once. The global batch is the recipe's; this only decides how it is cut up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selkit.api import WorkFailed

_CPU_BYTES = 1 << 30
_GPU_SHARE = 0.25
_BYTES_PER_UNIT = 34  # activations per token, layer and hidden unit at 16 bits: Korthikanti et al. 2022, equation 1


class TooLarge(WorkFailed):
    """The rows of one forward pass do not fit into the memory of one process: all have to start again with fewer."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The cut of the global batch: ``micro * accumulation * devices`` rows are one optimiser step."""

    micro: int
    accumulation: int
    devices: int = 1

    @property
    def rows(self) -> int:
        """Rows of one optimiser step."""
        return self.micro * self.accumulation * self.devices

    def halved(self) -> BatchPlan | None:
        """The next smaller cut of the same global batch, or None where one row at a time is already all."""
        share = self.micro * self.accumulation
        smaller = [size for size in divisors(share) if size <= self.micro // 2]
        return BatchPlan(smaller[-1], share // smaller[-1], self.devices) if smaller else None


def plan_batches(batch_size: int, fits: int, devices: int = 1) -> BatchPlan | None:
    """The largest micro-batch of at most ``fits`` rows that divides the share of each device.

    Args:
        batch_size: Rows of one optimiser step over all devices.
        fits: Rows that a device can hold at once, at least 1.
        devices: Processes that train together.

    Returns:
        The plan, or None where the batch cannot be shared out evenly.
    """
    if batch_size % devices:
        return None
    share = batch_size // devices
    micro = max(size for size in divisors(share) if size <= max(1, fits))
    return BatchPlan(micro, share // micro, devices)


def rows_that_fit(config: Mapping[str, Any], tokens: int, memory: int | None, checkpointing: bool) -> int:
    """An estimate of the rows of ``tokens`` tokens that fit into the part of the memory set aside for activations.

    It depends on the model and the device alone, never on what is free at the moment, so that the same training is cut
    up the same way every time. Where it is too bold, the batch is halved.

    Args:
        config: The model's config.json.
        tokens: Tokens of the longest sequence.
        memory: Bytes of memory of the GPU, or None on a CPU.
        checkpointing: Whether only the inputs of the layers are kept.
    """
    text = config.get("text_config", config)
    layers = int(text.get("num_hidden_layers") or text.get("n_layer") or 32)
    width = int(text.get("hidden_size") or text.get("n_embd") or 4096)
    width_of_number = 2 if memory is None else 1  # float32 against bf16
    per_layer = 2 if checkpointing else _BYTES_PER_UNIT
    per_row = tokens * layers * width * per_layer * width_of_number
    room = _CPU_BYTES if memory is None else int(memory * _GPU_SHARE)
    return max(1, room // max(1, per_row))


def divisors(number: int) -> list[int]:
    """The divisors of ``number``, ascending."""
    return [size for size in range(1, number + 1) if number % size == 0]
