"""A training that is ready to run, and one that has run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from selkit import __version__
from selkit.api import Pool
from selkit.models import ModelFolder
from selkit.train.batches import BatchPlan
from selkit.train.preflight import TrainCheck
from selkit.train.ranks import Ranks
from selkit.train.recipes import Recipe
from selkit.train.sequences import Prepared

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTTrainer

_PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers")


@dataclass(frozen=True)
class Options:
    """How a training runs, beside what it trains.

    Args:
        seed: Fixes the order of the rows and everything that is drawn.
        device: 'cpu' or 'cuda'.
        threads: CPU threads of torch; None takes as many as torch has.
        resume: Whether to go on from the checkpoint of a killed training.
        checkpoint_seconds: Time between checkpoints.
        deepspeed: Name of the DeepSpeed preset, or None.
        ranks: This process among those that train together.
    """

    seed: int
    device: str
    threads: int | None
    resume: bool
    checkpoint_seconds: float
    deepspeed: str | None = None
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def checkpoints(self) -> bool:
        """Whether checkpoints are any use: on a GPU no two trainings give the same bits, so one starts again."""
        return self.resume and self.device == "cpu"


@dataclass(frozen=True)
class Job:
    """One training, ready to run: all that fixes its weights."""

    folder: ModelFolder
    pool: Pool
    recipe: Recipe
    check: TrainCheck
    options: Options
    threads: int
    tokenizer: PreTrainedTokenizerBase
    prepared: Prepared

    def identity(self, plan: BatchPlan) -> dict[str, Any]:
        """All that a checkpoint must agree on for the training to go on from it."""
        return {
            "model": self.folder.digest,
            "data": [self.pool.fingerprint, self.pool.turns],
            "recipe": self.recipe.settings,
            "template": self.check.template.digest,
            "max_length": self.check.max_length,
            "batches": asdict(plan),
            "seed": self.options.seed,
            "device": [self.options.device, self.threads],
            "deepspeed": self.options.deepspeed,
            "versions": self.versions,
        }

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that can change what the training gives."""
        return versions(self.recipe, self.options.deepspeed)


@dataclass(frozen=True)
class Finished:
    """What the loop leaves: the trainer with the trained model, and how it got there.

    ``sequences`` counts those of one pass over the data. ``weights`` are the whole of the weights where each process
    holds a part of them; else None, and the trainer's model has them.
    """

    trainer: SFTTrainer
    plan: BatchPlan
    sequences: int
    seconds: float
    resumed_from: int | None
    halvings: int
    weights: dict[str, Any] | None = None


def versions(recipe: Recipe, deepspeed: str | None = None) -> dict[str, str]:
    """Versions of the packages that can change what a training gives."""
    from importlib.metadata import version

    packages = (*_PACKAGES, *(("peft",) if recipe.lora else ()), *(("deepspeed",) if deepspeed else ()))
    return {"selkit": __version__} | {package: version(package) for package in packages}
