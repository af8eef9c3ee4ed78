"""The training loop: AdamW with a rate per layer, an encoder that thaws, and the epoch that validates best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selkit.api import Context, WorkFailed
from selkit_car.agreement import kendall, pairwise_accuracy
from selkit_car.examples import States
from selkit_car.head import feed_forward, mix
from selkit_car.network import Network
from selkit_car.settings import Settings

if TYPE_CHECKING:
    import torch


@dataclass
class Fit:
    """One training; :meth:`run` leaves the best weights in the network.

    Args:
        network: The scorer to train.
        settings: How.
        ctx: Progress and notes.
        history: What :meth:`run` finds, an entry per epoch: loss, Kendall's tau and accuracy on the validation rows.
        best: The epoch whose weights were kept.
    """

    network: Network
    settings: Settings
    ctx: Context
    history: list[dict[str, float]] = field(default_factory=list)
    best: int = 0

    def run(self, train: States, valid: States, seed: int) -> None:
        """Trains epoch by epoch until the validation is no longer better. Raises WorkFailed if the loss diverges."""
        import torch

        self._freeze()
        optimizer, shuffler = torch.optim.AdamW(self._groups()), torch.Generator().manual_seed(seed)
        kept = self._copy()
        for epoch in range(1, self.settings.epochs + 1):
            loss = self._epoch(train, optimizer, shuffler, epoch)
            if self._better(valid, epoch, loss):
                kept = self._copy()
            elif epoch - self.best >= self.settings.patience:
                self.ctx.log(f"stopped after epoch {epoch}, since epoch {self.best} stayed the best")
                break
        self._restore(*kept)

    def _freeze(self) -> None:
        """Gradients for mix and head alone; the encoder's own dropout is on where it will learn."""
        for parameter in self.network.encoder.model.parameters():
            parameter.requires_grad_(False)
        for tensor in self.network.weights.values():
            tensor.requires_grad_(True)
        self.network.encoder.model.train(not self.settings.frozen_encoder)

    def _thaw(self) -> None:
        for parameters in self._layers():
            for parameter in parameters:
                parameter.requires_grad_(True)

    def _layers(self) -> list[list[torch.nn.Parameter]]:
        """What is tuned of the encoder, from the top layer down."""
        if self.settings.frozen_encoder:
            return []
        groups = self.network.encoder.layer_groups()
        return groups if self.settings.tuned_embeddings else groups[:-1]

    def _groups(self) -> list[dict[str, Any]]:
        """What is trained, with its learning rates."""
        groups = [{"params": list(self.network.weights.values()), "lr": self.settings.lr}]
        for depth, parameters in enumerate(self._layers()):
            groups.append({"params": parameters, "lr": self.settings.encoder_lr * self.settings.layer_decay**depth})
        return [group for group in groups if group["params"]]

    def _epoch(self, train: States, optimizer: torch.optim.Optimizer, shuffler: torch.Generator, epoch: int) -> float:
        """One pass over the training rows in a new order; returns the mean loss."""
        import torch

        rows, size = len(train.examples), self.settings.step_rows
        order = torch.randperm(rows, generator=shuffler).tolist()
        steps = [order[start : start + size] for start in range(0, rows, size)]
        done, total = (epoch - 1) * len(steps), 0.0
        for step in self.ctx.track(steps, description=f"epoch {epoch} of {self.settings.epochs}"):
            if done >= self.settings.frozen_epochs * len(steps):
                self._thaw()
            total += self._step(train, step, optimizer)
            done += 1
        return total / rows

    def _step(self, states: States, rows: Sequence[int], optimizer: torch.optim.Optimizer) -> float:
        """One step on the mean loss of ``rows``; returns the sum of their losses.

        The rows go through the encoder in parts of similar length, whose gradients add up to those of the whole.
        """
        import torch

        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in states.parts(rows):
            loss = self.losses(states.of(part), [states.examples.labels[row] for row in part]).sum()
            (loss / len(rows)).backward()
            total += loss.item()
        if not math.isfinite(total):
            raise WorkFailed("the loss is no finite number any more: lower the learning rates and train again")
        if self.settings.clip:
            trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.settings.clip)
        optimizer.step()
        return total

    def losses(self, states: torch.Tensor, labels: Sequence[float]) -> torch.Tensor:
        """The loss of each row from states of shape (rows, texts, layers, width), with dropout."""
        import torch
        from torch.nn.functional import triplet_margin_loss

        weights, dropout = self.network.weights, self.settings.dropout
        vectors = mix(states, weights, dropout)
        if self.settings.variant == "comet":
            anchor, better, worse = vectors.unbind(1)
            return triplet_margin_loss(anchor, better, worse, margin=self.settings.margin, reduction="none")
        return (feed_forward(vectors[:, 0], weights, dropout) - torch.tensor(labels, device=vectors.device)) ** 2

    def _better(self, valid: States, epoch: int, loss: float) -> bool:
        """Notes how good the epoch is; whether it is the best so far."""
        tau, accuracy = self._agreement(valid)
        self.history.append({"epoch": epoch, "loss": loss, "kendall": tau, "accuracy": accuracy})
        self.ctx.log(
            f"epoch {epoch} of {self.settings.epochs}: loss {loss:.4f}; on the validation pairs Kendall's tau "
            f"{tau:.3f}, accuracy {accuracy:.1%}"
        )
        if self.best and tau <= self.history[self.best - 1]["kendall"]:
            return False
        self.best = epoch
        return True

    def _agreement(self, valid: States) -> tuple[float, float]:
        """Kendall's tau and pairwise accuracy; for triplets tau counts pairs alone, as COMET's does."""
        training = self.network.encoder.model.training
        self.network.encoder.model.eval()
        better, worse = self._scores(valid)
        self.network.encoder.model.train(training)
        accuracy = pairwise_accuracy(better, worse)
        if self.settings.variant == "comet":
            return 2 * accuracy.higher / accuracy.pairs - 1, accuracy.accuracy
        tau = kendall([*better, *worse], [1.0] * len(better) + [0.0] * len(worse))
        return tau, accuracy.accuracy

    def _scores(self, valid: States) -> tuple[list[float], list[float]]:
        """Scores of the better and of the worse text of each validation pair."""
        import torch

        rows = range(len(valid.examples))
        found: dict[int, tuple[float, ...]] = {}
        for part in valid.parts(rows):
            with torch.no_grad():
                one, *others = mix(valid.of(part), self.network.weights).unbind(1)
                judged = [self.network.judge(one, other) for other in others] or [self.network.judge(one)]
            found.update(zip(part, zip(*(scores.tolist() for scores in judged), strict=True), strict=True))
        if self.settings.variant == "comet":
            return [found[row][0] for row in rows], [found[row][1] for row in rows]
        labels = valid.examples.labels
        better, worse = ([found[row][0] for row in rows if labels[row] == label] for label in (1.0, 0.0))
        return better, worse

    def _copy(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        tuned = {} if self.settings.frozen_encoder else self.network.encoder.model.state_dict()
        weights = {name: tensor.detach().clone() for name, tensor in self.network.weights.items()}
        return weights, {name: tensor.detach().to("cpu", copy=True) for name, tensor in tuned.items()}

    def _restore(self, weights: dict[str, torch.Tensor], tuned: dict[str, torch.Tensor]) -> None:
        self.network.weights = weights
        if tuned:
            self.network.encoder.model.load_state_dict(tuned)
        self.network.encoder.model.eval()
