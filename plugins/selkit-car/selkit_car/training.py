"""Training a scorer: :func:`train` is the function, ``python -m selkit_car train`` the command."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from selkit.api import Context, ModelFiles, UsageError
from selkit_car.agreement import PairwiseAccuracy, pairwise_accuracy
from selkit_car.card import Card
from selkit_car.examples import Examples, Frozen, States, Tuned, digest_of
from selkit_car.fitting import Fit
from selkit_car.network import Network, save_scorer
from selkit_car.pairs import Pair, ScoredTexts, read_scored, triplets
from selkit_car.settings import Settings

PAPER_ENCODER = "hub:FacebookAI/xlm-roberta-large"
"""The encoder of the paper, 560M parameters."""


@dataclass(frozen=True)
class Trained:
    """What training made.

    Args:
        output: The scorer's folder.
        card: What stands in its ``iqs.json``.
        history: One entry per epoch: loss, Kendall's tau and pairwise accuracy on the validation file.
        accuracy: Pairwise accuracy on the test file, where there was one.
    """

    output: Path
    card: Card
    history: tuple[dict[str, float], ...]
    accuracy: PairwiseAccuracy | None


def train(
    train_csv: Path,
    valid_csv: Path,
    output: Path,
    ctx: Context,
    *,
    encoder: str = PAPER_ENCODER,
    test_csv: Path | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    force: bool = False,
) -> Trained:
    """Trains a scorer on texts with scores and saves it.

    The files have the columns ``src`` and ``score`` (0 original, 1 revised), each two successive rows a pair. After
    every epoch the validation file decides: the weights of the epoch with the highest Kendall's tau are kept, and
    training stops when ``settings.patience`` epochs in a row were not better. The test file is scored once, at the end.
    The same files, settings, seed, device and number of threads give the same scorer.

    Args:
        train_csv: Rows to train on.
        valid_csv: Pairs to choose the epoch by.
        output: Folder for the scorer; written when training is through.
        ctx: Gives the encoder, the device, progress and notes; :func:`selkit.api.open_context` makes one.
        encoder: Reference of the text encoder to begin with.
        test_csv: Pairs whose accuracy is reported and stands in the scorer's card.
        settings: By default the paper's.
        seed: Seed of the head, the order of the rows and dropout.
        force: Whether what stands at ``output`` may be replaced.

    Raises:
        UsageError: A setting makes no sense, or there is something at ``output``.
        DataError: A file is missing or malformed, the encoder cannot be had, or the output cannot be written.
        WorkFailed: The loss is no number any more.
    """
    settings = settings or Settings()
    settings.check()
    _refuse_existing(output, force)
    files = {"train": read_scored(train_csv), "valid": read_scored(valid_csv)}
    files |= {"test": read_scored(test_csv)} if test_csv is not None else {}
    for name in files.keys() - {"train"}:
        files[name].pairs()  # refuses what is no pair before the encoder is loaded
    examples = {name: Examples.of(scored, settings.variant == "comet") for name, scored in files.items()}
    begun = ctx.model_files(encoder)
    started = time.monotonic()
    network = Network.untrained(settings.architecture, begun.path, encoder, ctx.device, seed)
    fit = Fit(network, settings, ctx)
    with _own_randomness(seed, ctx.device):
        fit.run(
            _states(network, examples["train"], settings, ctx), _states(network, examples["valid"], settings, ctx), seed
        )
    accuracy = pair_accuracy(network, files["test"].pairs()) if "test" in files else None
    card = _card(fit, begun, files, seed, accuracy)
    save_scorer(network, card, {"epochs": fit.history, "seconds": round(time.monotonic() - started, 1)}, output)
    return Trained(output, card, tuple(fit.history), accuracy)


def pair_accuracy(network: Network, pairs: Sequence[Pair]) -> PairwiseAccuracy:
    """Pairwise accuracy of a scorer; a comet scorer rates both answers against the revised anchor, as in training."""
    better: list[tuple[str, ...]] = [(pair.better,) for pair in pairs]
    worse: list[tuple[str, ...]] = [(pair.worse,) for pair in pairs]
    if network.architecture.variant == "comet":
        cut = triplets(pairs)
        better, worse = [(t.anchor, t.better) for t in cut], [(t.anchor, t.worse) for t in cut]
    scores = [found.value for found in network.score([*better, *worse])]
    return pairwise_accuracy(scores[: len(pairs)], scores[len(pairs) :])


def _states(network: Network, examples: Examples, settings: Settings, ctx: Context) -> States:
    if settings.frozen_encoder:
        return Frozen(network.encoder, examples, ctx)
    return Tuned(network.encoder, examples)


def _card(
    fit: Fit, begun: ModelFiles, files: dict[str, ScoredTexts], seed: int, accuracy: PairwiseAccuracy | None
) -> Card:
    training: dict[str, Any] = {
        "settings": fit.settings.to_dict(),
        "seed": seed,
        "template": files["train"].template,
        "data": {name: {"rows": len(file.rows), "sha256": digest_of(file)} for name, file in files.items()},
        "best": fit.history[fit.best - 1],
        "epochs": len(fit.history),
        "versions": {name: version(name) for name in ("selkit-car", "torch", "transformers")},
    }
    encoder: dict[str, Any] = {"ref": begun.ref, "digest": begun.digest, "frozen": fit.settings.frozen_encoder}
    encoder |= fit.network.encoder_facts()
    return Card(fit.settings.architecture, encoder, training, None if accuracy is None else accuracy.to_dict())


def _refuse_existing(output: Path, force: bool) -> None:
    if output.exists() and not force:
        raise UsageError(f"{output} is there already: choose another folder, or add --force to replace it")


@contextmanager
def _own_randomness(seed: int, device: str) -> Iterator[None]:
    """Dropout draws from ``seed``; what others draw from torch is the same before and after."""
    import torch

    devices = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
