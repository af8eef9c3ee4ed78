"""Keeps the training libraries off the network, off stdout and out of the way of selkit's own progress."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from selkit.models.quiet import quiet_deepspeed


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """No hub requests, no telemetry, no bars and no chatter while the block runs; then everything as it was."""
    import datasets
    import huggingface_hub.constants
    import transformers.utils.logging

    with ExitStack() as stack:
        for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            stack.enter_context(_attribute(huggingface_hub.constants, name, True))
        for name in ("transformers", "trl", "accelerate", "peft", "datasets"):
            stack.enter_context(_at_level(logging.getLogger(name), logging.ERROR))
        stack.enter_context(quiet_deepspeed())
        if not datasets.are_progress_bars_disabled():
            datasets.disable_progress_bars()
            stack.callback(datasets.enable_progress_bars)
        if transformers.utils.logging.is_progress_bar_enabled():
            transformers.utils.logging.disable_progress_bar()
            stack.callback(transformers.utils.logging.enable_progress_bar)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds random, numpy and torch for the block, and gives the caller's generators back as they were."""
    import torch
    from transformers import set_seed

    python, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            set_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


@contextmanager
def own_threads(threads: int | None) -> Iterator[int]:
    """Gives torch this many threads for the block (None: as many as it has); yields the number."""
    import torch

    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@contextmanager
def _attribute(owner: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _at_level(logger: logging.Logger, level: int) -> Iterator[None]:
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
