"""Watches over the method ``score`` of scorers: who is asked, and what becomes of a pass that dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from selkit.api import BaseSelector, Context, Pool, RowScore, Scorer
from selkit.select.training import nested

Score = Callable[[Scorer, Pool, Context], Iterable[float | RowScore]]


class Killed(BaseException):
    """Ends a scoring pass as a signal does: nothing that guards against exceptions sees it."""


@contextmanager
def scorers_at_work(component: BaseSelector) -> Iterator[list[Scorer]]:
    """Collects which scorers, among the component and those that are parameters of it, are asked to score rows."""
    asked: list[Scorer] = []

    def noting(score: Score) -> Score:
        def noted(self: Scorer, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
            if not any(self is known for known in asked):
                asked.append(self)
            return score(self, pool, ctx)

        return noted

    known = [part for part in nested(component) if isinstance(part, Scorer)]
    with ExitStack() as stack:
        for cls in dict.fromkeys(type(part) for part in known):
            stack.enter_context(_replaced(cls, noting))
        yield asked


@contextmanager
def killed_after(scorer: Scorer, rows: int) -> Iterator[None]:
    """Lets passes of scorers of this class die after so many rows, with :class:`Killed`."""

    def dying(score: Score) -> Score:
        def dies(self: Scorer, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
            for number, one in enumerate(score(self, pool, ctx)):
                if number >= rows:
                    raise Killed
                yield one

        return dies

    with _replaced(type(scorer), dying):
        yield


@contextmanager
def _replaced(cls: type[Scorer], wrapped: Callable[[Score], Score]) -> Iterator[None]:
    own = vars(cls).get("score")
    cls.score = wrapped(cls.score)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        if own is None:
            del cls.score
        else:
            cls.score = own  # type: ignore[method-assign]
