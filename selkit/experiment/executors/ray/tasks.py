"""Functions as tasks of Ray: made, called off, and with what they take over from the command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from selkit.console import get_console
from selkit.experiment.executors.ray.options import Needs


def remote(function: Any, needs: Needs, retries: int) -> Any:
    """A function as tasks of these needs, done again where a node or worker dies, never for an error of its own."""
    import ray

    # A process that has begun to use one GPU cannot change to another, and holds memory of it until it ends.
    once = {"max_calls": 1} if needs.gpus else {}
    return ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=retries, retry_exceptions=False, **once)(
        function
    )


def cancel(tasks: Sequence[Any]) -> None:
    """Calls tasks off; the worker of one that is under way ends."""
    import ray

    for task in tasks:
        with suppress(Exception):  # the cluster may be gone
            ray.cancel(task, force=True)


@dataclass(frozen=True)
class How:
    """What a task takes over from the command: how much is said, and selkit's own settings of the environment."""

    verbose: int
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> How:
        """How this process goes about it; keys and tokens stay here."""
        known = {k: v for k, v in os.environ.items() if k.startswith("SELKIT_") or k == "HF_HUB_OFFLINE"}
        return cls(get_console().verbose, {k: v for k, v in known.items() if "KEY" not in k and "TOKEN" not in k})
