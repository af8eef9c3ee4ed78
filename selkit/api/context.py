"""The context: everything that the host does for a component."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from selkit.api.data import Example, Pool, RowScore

if TYPE_CHECKING:
    from selkit.api.models import Chat, Embeddings, LanguageModel, LocalEngine, ModelFiles, Pooling, Tokenizer
    from selkit.api.selectors import Scorer

T = TypeVar("T")


@dataclass
class Context(ABC):
    """What the host hands to a component.

    Args:
        pool: The pool the component works on, where it works on one.
        seed: The run's selection seed.
        device: 'cpu', 'cuda', ...; what models of this context run on.
        cache_dir: The only folder that the component may write to.
        base_model: Reference of the experiment's base model, where there is one.
    """

    seed: int
    device: str
    cache_dir: Path
    base_model: str | None = None
    pool: Pool | None = None

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @abstractmethod
    def track(self, items: Iterable[T], *, total: int | None = None, description: str = "") -> Iterator[T]:
        """``items``, with progress shown while they are consumed."""

    @abstractmethod
    def log(self, message: str) -> None:
        """A note for the person who waits, on stderr and in the manifest."""

    @abstractmethod
    def model(self, ref: str, *, engine: LocalEngine = "hf") -> LanguageModel:
        """The model of this reference: a folder, ``hub:NAME[@REVISION]``, ``pypi:NAME==VERSION`` or ``tiny:NAME``.

        Args:
            ref: The reference.
            engine: What runs it: transformers ('hf'), which does everything, or 'vllm', which generates and gives
                losses only, without beam search. Name it in a parameter, so that it stands in keys.

        Raises:
            MissingExtra: torch and transformers, or vllm, are not installed.
            DataError: There is no such model, it has no weights, or the engine cannot run it.
        """

    @abstractmethod
    def tokenizer(self, ref: str) -> Tokenizer:
        """The tokenizer of the model of this reference, without loading the model."""

    @abstractmethod
    def model_files(self, ref: str) -> ModelFiles:
        """Where the files of a model are, for a component that runs the model itself; no code of the model runs.

        Raises:
            DataError: There is no such model, or it lacks its configuration, its weights or its tokenizer.
        """

    @abstractmethod
    def chat(self, endpoint: str) -> Chat:
        """A chat endpoint, with cache, retries, usage and cost. Asks no network, so that a preflight can call it.

        Args:
            endpoint: ``openai:MODEL``, ``http://HOST:PORT/v1#MODEL`` for any OpenAI-compatible server, or the reference
                of a local model, which is asked through its own chat template.

        Raises:
            UsageError: The reference is malformed, or a cap on dollars is set and the price is not known.
            DataError: There is no key, or no such local model.
            MissingExtra: What sends requests or runs the model is not installed.
        """

    @property
    def max_cost(self) -> float | None:
        """Dollars that calls of endpoints may cost in all; None for no cap.

        :meth:`chat` holds to it. A component that pays for calls in another way cannot, and refuses to run under one.
        """
        return None

    @abstractmethod
    def train(self, rows: Sequence[Example], recipe: str | Mapping[str, Any], base: str | None = None) -> str:
        """Trains ``base`` (default: the base model) on ``rows``; returns the reference of the trained model."""

    @abstractmethod
    def scores(self, scorer: Scorer) -> dict[str, float]:
        """Scores of the pool by another component, by id; rows without a score are absent. Stored under its own key."""

    @abstractmethod
    def row_scores(self, scorer: Scorer) -> Iterator[tuple[str, RowScore]]:
        """As :meth:`scores`, with all that the component said of each row: ids and row scores, by ascending id."""

    @abstractmethod
    def embeddings(
        self, texts: Mapping[str, str], ref: str, *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Embeddings:
        """Embeddings of texts by id, computed once per model and set of texts and stored under a key of their own.

        They do not depend on the order of ``texts``, and an interrupted computation goes on where it stopped. Name the
        model in a parameter (:attr:`Component.models`), so that its digest stands in the keys of what is made of them.

        Args:
            texts: Each text by the id of its row, of the pool or of something else.
            ref: Reference of a causal language model or a text encoder.
            pooling: 'mean' over all tokens, the 'last' token, or 'cls' (the first one).
            max_length: Most tokens of a text, by default the model's context; longer texts lose their end.

        Raises:
            DataError: An embedding holds NaN or infinity, or there is no such model.
        """

    @abstractmethod
    def selection(self, ref: str) -> Sequence[str]:
        """The ids that another arm of the experiment chose, or that a folder written by ``selkit select`` holds.

        Raises:
            DataError: There is neither an arm nor a folder of that name.
        """

    @abstractmethod
    def read_pool(self, source: str | Path) -> Pool:
        """Another pool, read as the pools of the experiment are."""

    @property
    @abstractmethod
    def selections(self) -> Mapping[str, Sequence[str]]:
        """Ids chosen by the other arms of the experiment at its largest budget, by arm; no baselines."""
