"""What pools ask of a store, so that this package and the store's need not import each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol


class Result(Protocol):
    """A finished result."""

    @property
    def directory(self) -> Path:
        """Where its files are."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What its maker recorded."""


class ResultStore(Protocol):
    """Makes each result once; :class:`selkit.store.Store` is one."""

    def make_once(self, stage: str, make: Callable[[Any], None], **parts: Any) -> Result:
        """The result of this stage and these parts of a key: found, or made now."""
