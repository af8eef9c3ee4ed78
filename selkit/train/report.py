"""What is known of a training after it: what it used, what it left out, how the loss went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from selkit.api import DataError, Dropped

REPORT = "training.json"
"""File in a trained model's folder that holds its :class:`TrainReport`."""

_MEASURED = ("seconds", "tokens_per_second", "resumed_from", "halvings")


@dataclass(frozen=True)
class TrainReport:
    """The record of one training. Rows are rows of the data; a row is one sequence, or one per turn.

    Args:
        model: Reference of the model that training started from.
        model_digest: Digest of its weights, configuration and tokenizer.
        recipe: Every field of the recipe.
        template: Name and digest of the prompt template.
        data: Fingerprint of the rows.
        turns: Which assistant turns train.
        n_selected: Rows handed to training.
        n_trained: Rows with at least one trained sequence; with n_dropped they are n_selected.
        n_truncated: Trained rows with a response that lost its end.
        n_dropped: Rows of which nothing could be trained.
        n_merged: Rows with tokens that run together over the end of the prompt.
        n_sequences: Trained sequences.
        dropped: Sequences left out: id of the row, and why.
        max_length: Tokens of the longest sequence allowed: the recipe's, or the model's context where that is shorter.
        supervised_tokens: Tokens with a loss in one pass over the data.
        total_tokens: Tokens in one pass over the data.
        steps: Optimiser steps.
        epochs: Passes over the data.
        loss_curve: Step and mean loss (nats a supervised token) of that step's batch.
        final_loss: Loss of the last step.
        batch_size: Rows of one optimiser step.
        micro_batch: Rows of one forward pass.
        accumulation: Forward passes of one device per optimiser step.
        seeds: Seed by what it fixes.
        versions: Version by package.
        device: 'cpu' or 'cuda', and its ``precision`` and ``threads`` (of each process).
        seconds: Wall time of the training loop in this process.
        tokens_per_second: Tokens without padding, in this process.
        resumed_from: Step of the checkpoint that this process started from, or None.
        halvings: How often the micro-batch was halved because it did not fit.
        processes: Processes that trained together.
        deepspeed: DeepSpeed preset that spread the work over them, or None.
    """

    model: str
    model_digest: str
    recipe: Mapping[str, Any]
    template: Mapping[str, str]
    data: str
    turns: str
    n_selected: int
    n_trained: int
    n_truncated: int
    n_dropped: int
    n_merged: int
    n_sequences: int
    dropped: tuple[Dropped, ...]
    max_length: int
    supervised_tokens: int
    total_tokens: int
    steps: int
    epochs: float
    loss_curve: tuple[tuple[int, float], ...]
    final_loss: float
    batch_size: int
    micro_batch: int
    accumulation: int
    seeds: Mapping[str, int]
    versions: Mapping[str, str]
    device: str
    precision: str
    threads: int
    seconds: float
    tokens_per_second: float
    resumed_from: int | None = None
    halvings: int = 0
    processes: int = 1
    deepspeed: str | None = None

    def to_json(self) -> str:
        """JSON text; what depends on the clock or the machine stands under ``measured``."""
        values = asdict(self)
        values["measured"] = {name: values.pop(name) for name in _MEASURED}
        lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> TrainReport:
        """The report that :meth:`to_json` wrote."""
        values = json.loads(text)
        values |= values.pop("measured")
        values["dropped"] = tuple(Dropped(**item) for item in values["dropped"])
        values["loss_curve"] = tuple((int(step), float(loss)) for step, loss in values["loss_curve"])
        later = {"processes", "deepspeed"} - values.keys()  # reports of before have neither
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name not in later})

    @classmethod
    def read(cls, folder: Path) -> TrainReport:
        """The report of the trained model in ``folder``.

        Raises:
            DataError: There is none, or it is damaged.
        """
        path = Path(folder) / REPORT
        try:
            return cls.from_json(path.read_text("utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not the record of a training; train the model again") from error

    def summary(self) -> str:
        """One sentence for people."""
        left = f", {self.n_dropped} dropped" if self.n_dropped else ""
        cut = f", {self.n_truncated} cut off" if self.n_truncated else ""
        together = f" in {self.processes} processes" if self.processes > 1 else ""
        return (
            f"{self.steps} steps{together} on {self.n_trained} of {self.n_selected} rows{left}{cut}; "
            f"{self.supervised_tokens} supervised tokens a pass; final loss {self.final_loss:.4g}; "
            f"{self.seconds:.1f} s, {self.tokens_per_second:.0f} tokens/s"
        )
