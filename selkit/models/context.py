"""The context that the host hands to components."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selkit.api import (
    Chat,
    Context,
    Embeddings,
    Example,
    LanguageModel,
    LocalEngine,
    ModelFiles,
    Pool,
    Pooling,
    RowScore,
    Scorer,
    Tokenizer,
    UsageError,
)
from selkit.console import get_console
from selkit.unchanging import read_once

T = TypeVar("T")

AUTO = "auto"


@dataclass
class HostContext(Context):
    """The context of a command or an experiment.

    What needs packages above this one (training, stored scores, other selections) is handed in as a
    callable by whoever builds the context; without it the component is told which command provides it.

    Args:
        device: 'cpu', 'cuda', ...; 'auto' takes a GPU where there is one (:func:`default_device`).
        train_service: ``(rows, recipe, base) -> ref``, for :meth:`train`.
        scores_service: ``scorer -> {id: score}``, for :meth:`scores`.
        row_scores_service: ``scorer -> (id, row score), ...``, for :meth:`row_scores`.
        embeddings_service: ``(context, texts, ref, pooling, max_length) -> Embeddings``, for :meth:`embeddings`.
        selection_service: ``ref -> ids``, for :meth:`selection`.
        selections_service: ``() -> {arm: ids}``, for :attr:`selections`.
        chat_service: ``endpoint -> Chat``, for :meth:`chat`; by default endpoints whose answers are kept in the user's
            store (:class:`selkit.models.client.ChatService`).
        account: Says what calls of endpoints are charged to: digest of a key of the store.
        notes: What components logged, for the manifest.
    """

    device: str = field(default=AUTO, kw_only=True)
    train_service: Callable[..., str] | None = field(default=None, kw_only=True)
    scores_service: Callable[[Scorer], dict[str, float]] | None = field(default=None, kw_only=True)
    row_scores_service: Callable[[Scorer], Iterator[tuple[str, RowScore]]] | None = field(default=None, kw_only=True)
    embeddings_service: Callable[..., Embeddings] | None = field(default=None, kw_only=True)
    selection_service: Callable[[str], Sequence[str]] | None = field(default=None, kw_only=True)
    selections_service: Callable[[], Mapping[str, Sequence[str]]] | None = field(default=None, kw_only=True)
    chat_service: Callable[[str], Chat] | None = field(default=None, kw_only=True)
    account: Callable[[], str] | None = field(default=None, kw_only=True)
    notes: list[str] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tracking = False
        if self.device == AUTO:
            self.device = default_device()

    def track(self, items: Iterable[T], *, total: int | None = None, description: str = "") -> Iterator[T]:
        """``items``, with progress shown on stderr while they are consumed; within another ``track``, shown there."""
        return iter(items) if self._tracking else self._track(items, total, description)

    def _track(self, items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
        self._tracking = True
        try:
            yield from get_console().track(items, total=total, description=description)
        finally:
            self._tracking = False

    def log(self, message: str) -> None:
        """A note on stderr, kept in :attr:`notes` for the manifest."""
        self.notes.append(message)
        get_console().note(message)

    def model(self, ref: str, *, engine: LocalEngine = "hf") -> LanguageModel:
        """The model of this reference, on the context's device; it stays loaded for the next call."""
        from selkit.models.load import load_model, load_vllm

        load = load_vllm if engine == "vllm" else load_model
        return load(ref, device=self.device)

    def tokenizer(self, ref: str) -> Tokenizer:
        """The tokenizer of the model of this reference; loads neither the model nor torch."""
        from selkit.models.load import load_tokenizer

        return load_tokenizer(ref)

    def model_files(self, ref: str) -> ModelFiles:
        """Where the files of a model are; downloads, converts or builds what is not there yet."""
        from selkit.models.refs import resolve

        return resolve(ref)

    def chat(self, endpoint: str) -> Chat:
        """A chat endpoint, with cache, retries, usage and cost."""
        from selkit.models.client import ChatService

        if self.chat_service is None:
            self.chat_service = ChatService()
        if isinstance(self.chat_service, ChatService):
            return self.chat_service.open(
                endpoint, account=self.account, device=self.device, track=self.track, log=self.log
            )
        return self.chat_service(endpoint)

    @property
    def max_cost(self) -> float | None:
        """Dollars that calls of endpoints may cost in all; None for no cap."""
        cap: float | None = getattr(self.chat_service, "max_cost", None)
        return cap

    def train(self, rows: Sequence[Example], recipe: str | Mapping[str, Any], base: str | None = None) -> str:
        """Trains ``base`` (default: the base model) on ``rows``; returns the reference of the trained model."""
        train = _given(self.train_service, "training", "selkit run")
        base = base or self.base_model
        if base is None:
            raise UsageError("training inside a component needs a base model: name one with --model")
        return train(rows, recipe, base)

    def scores(self, scorer: Scorer) -> dict[str, float]:
        """Scores of the pool by another component, by id; rows without a score are absent."""
        return _given(self.scores_service, "the scores of another component", "selkit select and selkit run")(scorer)

    def row_scores(self, scorer: Scorer) -> Iterator[tuple[str, RowScore]]:
        """All that another component said of each row of the pool, by ascending id."""
        return _given(self.row_scores_service, "the scores of another component", "selkit select and selkit run")(
            scorer
        )

    def embeddings(
        self, texts: Mapping[str, str], ref: str, *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Embeddings:
        """Embeddings of texts by id, stored under a key of their own."""
        embed = _given(self.embeddings_service, "stored embeddings", "selkit select and selkit run")
        return embed(self, texts, ref, pooling, max_length)

    def selection(self, ref: str) -> Sequence[str]:
        """The ids that another arm chose, or that a folder written by ``selkit select`` holds."""
        return _given(self.selection_service, "another selection", "selkit select and selkit run")(ref)

    def read_pool(self, source: str | Path) -> Pool:
        """Another pool, read as the pools of the experiment are."""
        from selkit.pools import load_pool

        return load_pool(source)

    @property
    def selections(self) -> Mapping[str, Sequence[str]]:
        """Ids chosen by the other arms at the largest budget, by arm; empty outside an experiment."""
        return self.selections_service() if self.selections_service is not None else {}


def default_device() -> str:
    """'cuda' where torch is installed and finds a GPU, else 'cpu'; $SELKIT_DEVICE overrides it."""
    return os.environ.get("SELKIT_DEVICE") or ("cuda" if has_gpu() else "cpu")


@read_once
def has_gpu() -> bool:
    """Whether torch is installed and finds a GPU.

    torch takes seconds to import, so it is not asked on a Linux machine without the device files of a GPU.
    """
    if importlib.util.find_spec("torch") is None or not _gpu_files():
        return False
    import torch

    return bool(torch.cuda.is_available())


def device_here() -> str:
    """The kind of device that this process computes on: 'cpu' or 'cuda', or what $SELKIT_DEVICE names."""
    return kind_of(default_device())


def device_of(kind: str) -> str:
    """A device of a kind: the one that this process computes on where that is of the kind, else the kind itself."""
    here = default_device()
    return here if kind_of(here) == kind else kind


def kind_of(device: str) -> str:
    """The kind of a device: 'cuda' of 'cuda:1', and of several GPUs with commas."""
    return device.partition(":")[0].partition(",")[0].strip()


def default_threads() -> int:
    """The threads that libraries take on a CPU: $OMP_NUM_THREADS, else every core."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def _gpu_files() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd"))


def _given(service: Callable[..., T] | None, what: str, where: str) -> Callable[..., T]:
    if service is None:
        raise UsageError(f"the component asks for {what}, which is not to be had here: use it through {where}")
    return service
