"""The settings of training; the defaults are those of CaR's configuration files."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from selkit.api import UsageError
from selkit_car.card import Architecture, Layers, Variant


@dataclass(frozen=True)
class Settings:
    """How a scorer is trained.

    Args:
        variant: 'estimator', a score by mean squared error (IQS), or 'comet', a triplet margin (Comet Instruct).
        layers: 'sparsemax', a learnt mix of all layers of the encoder, or 'last', the last one alone.
        hidden_sizes: Widths of the hidden layers of the Tanh head; a comet scorer has no head.
        max_length: Most tokens of a text; longer ones lose their end.
        frozen_encoder: Whether mix and head alone are trained.
        tuned_embeddings: Whether the encoder's embeddings are tuned too.
        frozen_epochs: Epochs at the start in which the encoder is left alone.
        encoder_lr: Learning rate of the encoder's top layer.
        layer_decay: What it is multiplied by from each layer to the one below.
        lr: Learning rate of mix and head.
        dropout: Dropout in mix and head.
        epochs: Most epochs.
        patience: Epochs in a row without a better validation after which training stops.
        batch_size: Rows of a batch; by default 8, and 4 triplets.
        accumulate: Batches of a step.
        clip: Largest norm of the gradients; 0 for no limit.
        margin: Margin of the triplet loss.
    """

    variant: Variant = "estimator"
    layers: Layers = "sparsemax"
    hidden_sizes: tuple[int, ...] = (2048, 1024)
    max_length: int = 512
    frozen_encoder: bool = False
    tuned_embeddings: bool = False
    frozen_epochs: float = 0.3
    encoder_lr: float = 1e-6
    layer_decay: float = 0.95
    lr: float = 1.5e-5
    dropout: float = 0.1
    epochs: int = 4
    patience: int = 2
    batch_size: int | None = None
    accumulate: int = 2
    clip: float = 1.0
    margin: float = 1.0

    @property
    def architecture(self) -> Architecture:
        """How the scorer is built."""
        return Architecture(self.variant, self.layers, self.hidden_sizes, self.max_length)

    @property
    def step_rows(self) -> int:
        """Rows (or triplets) of one step."""
        return (self.batch_size or (8 if self.variant == "estimator" else 4)) * self.accumulate

    def check(self) -> None:
        """Raises UsageError where a number makes no sense, or where nothing is left to train."""
        least: dict[str, float] = {"max_length": 4, "epochs": 1, "patience": 1, "batch_size": 1, "accumulate": 1}
        least |= dict.fromkeys(("frozen_epochs", "encoder_lr", "layer_decay", "lr", "dropout", "clip", "margin"), 0)
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and not bound <= value < math.inf:
                raise UsageError(f"{name} is a number from {bound} on, not {value}")
        if self.dropout >= 1 or self.layer_decay > 1:
            raise UsageError(f"dropout is below 1 and layer_decay at most 1, not {self.dropout} and {self.layer_decay}")
        if any(size < 1 for size in self.hidden_sizes):
            raise UsageError(f"hidden_sizes are widths from 1 on, not {self.hidden_sizes}")
        if self.frozen_encoder and self.variant == "comet" and self.layers == "last":
            raise UsageError("a comet scorer of a frozen encoder's last layer has nothing to train: tune the encoder")

    def to_dict(self) -> dict[str, Any]:
        """For a card."""
        return asdict(self)


HELP: dict[str, str] = dict(re.findall(r"^    (\w+): (.+)$", inspect.getdoc(Settings) or "", re.MULTILINE))
"""What the docstring says of each setting."""
