"""One model on several devices: the rows are dealt out to its copies, and the results come back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from selkit.api import Continuation, Decoding, Generation, Pooling, StartToken, TokenLosses
from selkit.models.hf import Embedded, HFModel
from selkit.models.sampling import check_decoding

T = TypeVar("T")
R = TypeVar("R")


class SpreadModel(HFModel):
    """Copies of one model, each on a device of its own.

    Pieces of the input go to the copies in turn, so that the same input is always cut in the same way. Each copy has a
    thread: Python waits for the devices most of the time.

    Args:
        copies: The copies, at least one.
    """

    def __init__(self, copies: Sequence[HFModel]) -> None:
        first = copies[0]
        super().__init__(first._folder, first.model, first.tokenizer, first.limits)
        self.copies = tuple(copies)

    def token_losses(
        self, pairs: Iterable[Continuation], *, max_length: int | None = None, start: StartToken = "auto"
    ) -> Iterator[TokenLosses]:
        """As :meth:`HFModel.token_losses`; rows that come again are computed once per piece."""
        self._causal_forward("token losses")
        return self._spread(pairs, lambda copy, piece: copy.token_losses(piece, max_length=max_length, start=start))

    def label_probabilities(self, prompts: Iterable[str], labels: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """As :meth:`HFModel.label_probabilities`."""
        return self._spread(prompts, lambda copy, piece: copy.label_probabilities(piece, labels))

    def embedded(
        self, texts: Iterable[str], *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Iterator[Embedded]:
        """As :meth:`HFModel.embedded`."""
        return self._spread(texts, lambda copy, piece: copy.embedded(piece, pooling=pooling, max_length=max_length))

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """As :meth:`HFModel.generate`; a piece is as many prompts as make whole batches."""
        self._causal_forward("text")
        check_decoding(decoding)
        texts = list(prompts)
        self._refuse_long(texts, [tuple(ids) for ids in self.encoder.prompts(texts)])
        answers = self.limits.answers
        return self._spread(texts, lambda copy, piece: copy.generate(piece, decoding, seed=seed), answers)

    def _spread(
        self, items: Iterable[T], work: Callable[[HFModel, list[T]], Iterator[R]], size: int | None = None
    ) -> Iterator[R]:
        """The results of ``work`` on pieces of the items, in order; a few pieces are under way at once."""
        source = iter(items)
        waiting: deque[Future[list[R]]] = deque()
        with ExitStack() as stack:
            threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in self.copies]
            stack.callback(lambda: [future.cancel() for future in waiting])
            turn = 0
            while piece := list(islice(source, size or self.limits.piece)):
                copy, thread = self.copies[turn % len(threads)], threads[turn % len(threads)]
                waiting.append(thread.submit(lambda copy=copy, piece=piece: list(work(copy, piece))))  # type: ignore[misc]
                turn += 1
                if len(waiting) >= 2 * len(threads):
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
