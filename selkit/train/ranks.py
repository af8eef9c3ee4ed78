"""The processes that train one model together, and what they tell each other.

A launcher (selkit's own, torchrun, accelerate) starts each with RANK, LOCAL_RANK, WORLD_SIZE and MASTER_ADDR in its
environment. Process 0 speaks for all: it holds the output folder, writes the result and shows progress.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, TypeVar

from selkit.api import UsageError
from selkit.console import get_console
from selkit.models.quiet import quiet_deepspeed

T = TypeVar("T")

_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Args:
        rank: Its number, from 0.
        world: How many there are.
        launched: Whether a launcher started it; else it trains alone.
    """

    rank: int = 0
    world: int = 1
    launched: bool = False

    @classmethod
    def here(cls) -> Ranks:
        """What the environment says of this process."""
        if not all(os.environ.get(name, "").strip() for name in _LAUNCHED):
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), launched=True)

    @property
    def is_main(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def share(self, make: Callable[[], T]) -> T:
        """What ``make`` gives in process 0, handed to all; what it raises there is raised by all."""
        if not self.launched:
            return make()
        from torch.distributed import broadcast_object_list

        told: list[Any] = [None, None]
        if self.is_main:
            try:
                told[0] = make()
            except Exception as error:
                told[1] = error
        broadcast_object_list(told, src=0)
        if told[1] is not None:
            raise told[1]
        result: T = told[0]
        return result

    def wait(self) -> None:
        """Returns when all have come here."""
        if self.launched:
            from torch.distributed import barrier

            barrier()


@contextmanager
def joined(ranks: Ranks, device: str, deepspeed: str | None) -> Iterator[None]:
    """Connects this process with the others for the block; one that trains alone has nothing to do.

    Raises:
        UsageError: DeepSpeed is to run on the CPU of a machine whose GPUs it would take.
    """
    if not ranks.launched:
        yield
        return
    from accelerate.state import AcceleratorState, PartialState

    before = get_console().quiet
    get_console().quiet = before or not ranks.is_main
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        _connect(PartialState, device, deepspeed)
        yield
        _disconnect()  # not after an error: the others may be gone, or wait where this process will never come
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        get_console().quiet = before


def _connect(state: Any, device: str, deepspeed: str | None) -> None:
    """Sets up the group; the trainer finds it configured. On a CPU, DeepSpeed must be told to speak gloo."""
    if deepspeed is None:
        state(cpu=device == "cpu")
        return
    if device == "cpu":
        import torch

        if torch.cuda.is_available():
            raise UsageError("DeepSpeed takes the GPUs that it sees: set CUDA_VISIBLE_DEVICES= to train on the CPU")
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    try:
        with quiet_deepspeed(), redirect_stdout(io.StringIO()):  # its logger keeps the stream that it finds
            if device == "cpu":
                _without_compiled_messages()
                state(backend="gloo")
            else:
                state()
    finally:
        del os.environ["ACCELERATE_USE_DEEPSPEED"]


def _without_compiled_messages() -> None:
    """Keeps DeepSpeed from compiling its own all-reduce for CPUs at the first use: gloo needs no compiler."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _disconnect() -> None:
    from torch.distributed import barrier, destroy_process_group, is_initialized

    if is_initialized():
        barrier()
        destroy_process_group()


def is_main_process() -> bool:
    """Whether this process speaks for those that train together; one that trains alone does."""
    return Ranks.here().is_main


def refuse_launcher(what: str) -> None:
    """Refuses ``what`` in each of several processes of a launcher: it starts the processes that train itself.

    Raises:
        UsageError: A launcher started this process.
    """
    if Ranks.here().launched:
        raise UsageError(
            f"{what} starts its own processes: run it once, without torchrun, and say how many with processes"
        )
