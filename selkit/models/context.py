"""The context that the host really hands to components."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selkit.api import Chat, Context, Example, LanguageModel, Pool, Scorer, SelkitError, Tokenizer, UsageError
from selkit.console import get_console
from selkit.models.tokens import load_tokenizer
from selkit.pools import load_pool

T = TypeVar("T")


@dataclass
class HostContext(Context):
    """Serves models, tokenizers, pools and progress itself; what lives in higher layers is handed in.

    Args:
        scores_service: Scores of another scorer on this pool, by id.
        selection_service: Ids of an arm or of a selection folder.
        selections_service: Ids of the other arms.
        train_service: Trains a model and returns its reference.
        chat_service: Opens a chat endpoint.
    """

    device: str = "auto"
    cache_dir: Path = field(default_factory=Path.cwd)
    seed: int = 0
    scores_service: Callable[[Scorer], dict[str, float]] | None = None
    selection_service: Callable[[str], Sequence[str]] | None = None
    selections_service: Callable[[], Mapping[str, Sequence[str]]] | None = None
    train_service: Callable[..., str] | None = None
    chat_service: Callable[[str], Chat] | None = None
    notes: list[str] = field(default_factory=list)

    def track(self, items: Iterable[T], *, total: int | None = None, description: str = "") -> Iterator[T]:
        """Progress on stderr."""
        return get_console().track(items, total, description)

    def log(self, message: str) -> None:
        """A note on stderr, kept for the manifest."""
        self.notes.append(message)
        get_console().note(message)

    def model(self, ref: str) -> LanguageModel:
        """A model of this process, loaded once."""
        from selkit.models.hf import load_model

        return load_model(ref, device=None if self.device == "auto" else self.device)

    def tokenizer(self, ref: str) -> Tokenizer:
        """A tokenizer of this process, loaded once."""
        return load_tokenizer(ref)

    def read_pool(self, source: str | Path) -> Pool:
        """Reads with the pools' own readers."""
        return load_pool(source)

    def chat(self, endpoint: str) -> Chat:
        """The chat service, where the command has one."""
        return _served(self.chat_service, "a chat endpoint")(endpoint)

    def train(self, rows: Sequence[Example], recipe: str | Mapping[str, Any], base: str | None = None) -> str:
        """The training service, where the command has one."""
        base = base or self.base_model
        if base is None:
            raise UsageError("training inside a component needs a base model: name one with --model")
        return _served(self.train_service, "training")(rows, recipe, base)

    def scores(self, scorer: Scorer) -> dict[str, float]:
        """Scores of another scorer on this pool."""
        return _served(self.scores_service, "scores of other components")(scorer)

    def selection(self, ref: str) -> Sequence[str]:
        """Ids of an arm or of a selection folder."""
        return _served(self.selection_service, "selections")(ref)

    @property
    def selections(self) -> Mapping[str, Sequence[str]]:
        """Ids of the other arms; none where there is no experiment."""
        return self.selections_service() if self.selections_service else {}


def _served(service: Callable[..., Any] | None, what: str) -> Callable[..., Any]:
    if service is None:
        raise SelkitError(f"this command does not serve {what} to components: run it inside `selkit run`")
    return service
