"""Watches a training while it runs: progress, the loss of each step, checkpoints now and then, divergence at once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from selkit.api import WorkFailed
from selkit.console import get_console
from selkit.train.ranks import Ranks
from selkit.train.workplace import mark_checkpoint


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers loads its names lazily, past mypy
    """Shows progress, asks for checkpoints, and stops a training whose loss is no longer a number.

    Args:
        checkpoint_seconds: Time between checkpoints; None asks for none.
        label: What the progress line says.
        ranks: This process among those that train together: all write their part of a checkpoint, or none.
        sampler: Deals out the rows where several processes train; hears which pass over the data begins.
    """

    def __init__(
        self, checkpoint_seconds: float | None, label: str, ranks: Ranks | None = None, sampler: Any = None
    ) -> None:
        self.checkpoint_seconds = checkpoint_seconds
        self.label = label
        self.ranks = ranks or Ranks()
        self.sampler = sampler
        self._progress: Iterator[int] = iter(())
        self._saved = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the clock and the progress display at the step that training starts from."""
        self._saved = time.monotonic()
        left = range(state.global_step, state.max_steps)
        self._progress = get_console().track(left, description=self.label)
        next(self._progress, None)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Counts the step, and asks for a checkpoint where one is due and more than the end is left."""
        next(self._progress, None)
        if self.checkpoint_seconds is None or state.global_step >= state.max_steps:
            return
        control.should_save = self.ranks.share(self._is_due)

    def _is_due(self) -> bool:
        return self.checkpoint_seconds is not None and time.monotonic() - self._saved >= self.checkpoint_seconds

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tells the sampler the pass. The trainer does not, where it goes on from a checkpoint in several processes."""
        if self.sampler is not None:
            self.sampler.set_epoch(int(state.epoch or 0))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Stops at a loss or gradient that is not a finite number.

        Raises:
            WorkFailed: The training diverged; the text names the step.
        """
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(value):
                raise diverged(state.global_step, f"the {name.replace('_', ' ')} is {value}")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Marks the checkpoint as whole once all of it is written."""
        self.ranks.wait()
        if self.ranks.is_main:
            mark_checkpoint(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")
        self._saved = time.monotonic()


def diverged(step: int, what: str) -> WorkFailed:
    """The error of a training that ran away."""
    return WorkFailed(f"training diverged at step {step} ({what}): lower the learning rate or lengthen the warmup")
