"""How rows go through a model: each once, window by window, in batches of like rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from selkit.models.batches import alike, pack, windows
from selkit.models.encode import EncodedPair
from selkit.models.forward import Row, with_less_memory

R = TypeVar("R")
S = TypeVar("S", EncodedPair, Row)


@dataclass(frozen=True)
class Limits:
    """How much is done at once.

    Args:
        batch_tokens: Tokens of one forward pass, padding counted. On a CPU larger passes leave its caches and are
            slower (measured with 135M parameters).
        window_tokens: Tokens of a window: the rows that are sorted by length together, and whose results appear
            together. What an interrupted pass does again is at most one window.
        overhead: What a forward pass costs besides its tokens, in tokens: on a CPU the reading of the weights (measured
            with 135M parameters), on a GPU many more, since small passes leave it idle.
        answers: Answers written together.
        piece: Rows that one of several devices gets at once.
    """

    batch_tokens: int = 1024
    window_tokens: int = 4096
    overhead: int = 20
    answers: int = 16
    piece: int = 16


CPU = Limits()
GPU = Limits(batch_tokens=32_768, window_tokens=131_072, overhead=4096, answers=128, piece=256)


class Passes:
    """Cuts rows into passes of a model.

    Args:
        limits: How much is done at once.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def each_once(
        self, items: Iterable[S], key: Callable[[S], Hashable], compute: Callable[[list[S]], Iterator[R]], keep: int
    ) -> Iterator[tuple[S, R]]:
        """Each item with its result, window by window; items of the same key are computed once.

        ``keep`` results are remembered from window to window.
        """
        known: OrderedDict[Hashable, R] = OrderedDict()
        for window in windows(items, lambda item: len(item.ids), self.limits.window_tokens):
            keys = [key(item) for item in window]
            new = {found: item for found, item in zip(keys, window, strict=True) if found not in known}
            known.update(zip(new, compute(list(new.values())), strict=True))
            for found, item in zip(keys, window, strict=True):
                yield item, known[found]
            while len(known) > keep:
                known.popitem(last=False)

    def grouped(
        self,
        rows: Sequence[Row],
        run: Callable[[Sequence[Row]], list[R]],
        *,
        opening: Callable[[Row], tuple[int, ...]] = lambda _: (),
        share: Callable[[Sequence[Row]], int] = lambda _: 0,
    ) -> Iterator[R]:
        """``run`` on groups of rows of the same opening and of similar size; the results in the order of ``rows``.

        Args:
            rows: The rows.
            run: Gives one result per row of a group.
            opening: The first tokens of a row that others may have too.
            share: Prepares what rows of the same opening have in common; returns how many tokens that spares each.
        """
        import torch

        results: dict[int, R] = {}
        with torch.inference_mode():
            for members in alike([opening(row) for row in rows], self.limits.overhead):
                shared = share([rows[index] for index in members])
                lengths = [len(rows[index].ids) - shared for index in members]
                for group in pack(lengths, self.limits.batch_tokens, self.limits.overhead):
                    chosen = [members[position] for position in group]
                    found = with_less_memory(run, [rows[index] for index in chosen])
                    results.update(zip(chosen, found, strict=True))
        return (results[index] for index in range(len(rows)))
