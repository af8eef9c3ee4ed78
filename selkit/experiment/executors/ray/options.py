"""What tasks take of a Ray cluster, and the options of the executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selkit.experiment.executors.options import number, refuse_unknown


@dataclass(frozen=True)
class Needs:
    """What one task takes of a node; None where the spec (CPUs) or the cluster (GPUs) decides."""

    cpus: float | None = None
    gpus: float | None = None

    def settled(self, cpus: float, gpus: float) -> Needs:
        """With these in place of what is None."""
        return Needs(cpus if self.cpus is None else self.cpus, gpus if self.gpus is None else self.gpus)

    def fits(self, node: Mapping[str, float]) -> bool:
        """Whether a node with these resources has as much."""
        return node.get("CPU", 0) >= (self.cpus or 0) and node.get("GPU", 0) >= (self.gpus or 0)

    @property
    def text(self) -> str:
        """For messages: '4 CPUs and 1 GPU'."""
        return f"{self.cpus or 0:g} CPUs and {self.gpus or 0:g} GPUs"


@dataclass(frozen=True)
class RayOptions:
    """Options of the executor, ``-x KEY=VALUE``.

    Args:
        train: What training takes (``train.cpus``, ``train.gpus``); by default the threads and processes of the spec,
            and one GPU per process where the cluster has GPUs.
        answer: What answering test sets and benchmarks takes; by default the threads of the spec, and one GPU where
            the cluster has GPUs.
        score: What scoring a shard of a pool takes; by default one CPU. A scorer with a model needs ``score.gpus=1``,
            and SELKIT_DEVICE=cuda where this machine has no GPU, since scores are stored by the kind of device.
        retries: How often a cell or shard is done again whose node or worker died.
    """

    train: Needs = field(default_factory=Needs)
    answer: Needs = field(default_factory=Needs)
    score: Needs = field(default_factory=lambda: Needs(1, 0))
    retries: int = 3

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RayOptions:
        """From a mapping of 'train.cpus', 'train.gpus', the same of 'answer' and 'score', and 'retries'.

        Raises:
            UsageError: An option is unknown or no number.
        """
        stages = [f"{stage}.{kind}" for stage in ("train", "answer", "score") for kind in ("cpus", "gpus")]
        refuse_unknown(options, [*stages, "retries"], "ray")
        given = {key: number(options, key, 0) for key in stages if key in options}
        train, answer = (Needs(given.get(f"{s}.cpus"), given.get(f"{s}.gpus")) for s in ("train", "answer"))
        score = Needs(given.get("score.cpus", 1), given.get("score.gpus", 0))
        return cls(train, answer, score, int(number(options, "retries", 3)))
