"""The three kinds of selectors. A simple one is about twenty lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from selkit.api.components import Component
from selkit.api.context import Context
from selkit.api.data import Budget, Pool, RowScore, Selection


class BaseSelector(Component, ABC):
    """What scorers, samplers and full selectors share.

    Attributes:
        seeded: Whether the choice depends on the seed. Runs of an unseeded selector differ in training alone.
        sized: Whether the selector takes a budget. One that does not (a given subset, the full pool) has its own size.
        after_others: Whether the selector looks at the selections of other arms, and so runs after them.
        baseline: True for arms that strict-random does not count among 'the other selectors'.
    """

    seeded: ClassVar[bool] = True
    sized: ClassVar[bool] = True
    after_others: ClassVar[bool] = False
    baseline: ClassVar[bool] = False

    def selections_named(self) -> tuple[str, ...]:
        """Arms, or folders that ``selkit select`` wrote, whose rows it asks for (:meth:`Context.selection`).

        The host refuses before any work starts what is neither, and arms that wait for each other.
        """
        return ()

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Checks that can fail before any work starts, e.g. a column that must be there. Raises a SelkitError."""


class Scorer(BaseSelector):
    """Gives every row a number; the host checks, stores, ranks, breaks ties by id and cuts at the budget.

    Attributes:
        higher_is_better: Whether large scores are chosen first.
        independent: Whether a row's score depends on that row and the context alone, not on the rows handed over with
            it. After an interruption the host then hands over only the rows that have no score yet, with the same
            context (whose trainings, stored scores and embeddings are those of the whole pool).
        by_length: Whether the host hands the rows over sorted by length, longest first, so that a model's batches of
            neighbours carry little padding.
        code_version: Stands in for the digest of the component's source in the key of stored scores, for authors who
            promise to change it whenever scores can change.
    """

    seeded = False
    higher_is_better: ClassVar[bool] = True
    independent: ClassVar[bool] = True
    by_length: ClassVar[bool] = False
    code_version: ClassVar[str | None] = None

    def tie_break(self) -> Literal["id", "random"]:
        """How rows with equal scores are ordered: the smaller id first, or at random by the seed."""
        return "id"

    @abstractmethod
    def score(self, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
        """One score per row, in the order of ``pool``; yield them as they come. NaN is reported, never ranked."""


class Sampler(BaseSelector):
    """Draws a given number of rows."""

    @abstractmethod
    def sample(self, pool: Pool, k: int, ctx: Context) -> Sequence[str]:
        """Exactly ``k`` different ids of ``pool``, drawn with ``ctx.rng``."""


class Selector(BaseSelector):
    """Full control over the choice, for methods that are neither a ranking nor a draw."""

    @abstractmethod
    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The choice; exactly the budget, or fewer with :attr:`Selection.shortfall` saying why."""
