"""For programs of a plugin's own, such as one that trains its scorer; components get their context from the host."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from selkit.api.context import Context


def open_context(cache_dir: Path, *, seed: int = 0, device: str = "auto") -> Context:
    """A context for a program that runs outside of selkit's commands: models, progress and notes.

    Training, stored scores and other selections belong to the commands, and are refused here with a sentence.

    Args:
        cache_dir: The folder that the program may write to.
        seed: Seed of :attr:`Context.rng`.
        device: 'cpu', 'cuda', ...; 'auto' takes a GPU where there is one.
    """
    host = import_module("selkit.models")  # by name: the interface depends on nothing that is built upon it
    context: Context = host.HostContext(seed=seed, device=device, cache_dir=cache_dir)
    return context
