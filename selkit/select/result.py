"""What a selection is made of, and what an experiment tells a selector about the other arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selkit.api import BaseSelector, Budget, Pool, Selection
from selkit.store import Key


@dataclass(frozen=True)
class SelectionResult:
    """A selection with all that is needed to make it again.

    ``facts`` says what became of the rows; ``key`` is what the selection depends on; ``spent`` lists the keys of the
    stored results that it used, whose cost is charged to it.
    """

    pool: Pool
    selector: BaseSelector
    budget: Budget | None
    seed: int
    selection: Selection
    key: Key
    facts: Mapping[str, Any] = field(default_factory=dict)
    spent: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The chosen ids, best first where there is a ranking."""
        return self.selection.ids

    @property
    def rows(self) -> Pool:
        """The chosen rows."""
        return self.pool.take(self.ids)


@dataclass(frozen=True)
class Arms:
    """What an experiment tells a selector about the other arms.

    Args:
        chosen: Ids by arm at the largest budget, for :attr:`Context.selections`: no baselines.
        named: Ids by arm, for :meth:`Context.selection`.
    """

    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
