"""Running a causal model on rows of token ids, with logits only where they are asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from selkit.api import WorkFailed
from selkit.console import get_console
from selkit.models.batches import common_prefix

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_LOGITS_BYTES = 64 * 2**20
WORTH_SHARING = 16
"""A shared prefix of fewer tokens is not worth a forward pass of its own."""

_KEPT_PREFIXES = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids, and the first position whose logits are asked for; those of all later positions are too."""

    ids: tuple[int, ...]
    first: int


class _Prefix(NamedTuple):
    """What is kept of a start that rows share: keys and values of every layer, and the last layer's hidden states."""

    cache: Any
    states: torch.Tensor


class CausalForward:
    """A causal language model that computes no logits that nobody asked for.

    The head (a tenth to a third of a small model's work) runs on the asked positions only, in chunks of bounded memory,
    and the start that the rows of a batch share (a template's preamble) is computed once and kept. Both need the model
    to be built in the usual way, which a probe on a few tokens finds out; a model that is not is run in full.

    Rows are padded on the right, where a causal model cannot see the padding, so no mask is needed.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.base = model.base_model
        self.head = model.get_output_embeddings()
        self.device = model.device
        self.pad = model.config.get_text_config().pad_token_id or 0
        vocabulary = model.config.get_text_config().vocab_size
        self._prefixes: dict[tuple[int, ...], _Prefix] = {}
        self._chunk = max(16, _LOGITS_BYTES // (4 * vocabulary))
        self.plain_head, self.shares_prefix = _probe(self, vocabulary)

    def logits(self, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
        """Raw logits in float32 at the asked positions, row after row, in chunks of shape (positions, vocabulary)."""
        if self.plain_head:
            for chunk in self.hidden(rows).split(self._chunk):
                yield self.head(chunk).float()
            return
        for row in rows:
            output = self.model(input_ids=self._padded([row.ids]), use_cache=False)
            yield output.logits[0, row.first :].float()

    def hidden(self, rows: Sequence[Row]) -> torch.Tensor:
        """Hidden states of the last layer at the asked positions, row after row, shape (positions, width)."""
        import torch

        prefix = self._prefix(rows, min(row.first for row in rows))
        shared = len(prefix)
        states = self._states(prefix, rows)
        return torch.cat([states[i, row.first - shared : len(row.ids) - shared] for i, row in enumerate(rows)])

    def every_state(self, rows: Sequence[Row]) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Hidden states of the last layer at every position of each row, in two parts.

        Returns:
            Those of the start that the rows share, shape (shared, width), or None where nothing is shared; and those
            behind it, shape (rows, most tokens behind it, width), at least one position of each row.
        """
        prefix = self._prefix(rows, min(len(row.ids) for row in rows) - 1)
        states = self._states(prefix, rows)
        return self._prefixes[prefix].states if prefix else None, states

    def forget_prefixes(self) -> None:
        """Drops what is known of earlier rows, so that the next batches do not depend on them in any bit."""
        self._prefixes.clear()

    def losses(self, rows: Sequence[Row], targets: Sequence[int]) -> torch.Tensor:
        """Negative log-likelihoods of ``targets``, one per asked position in the order of :meth:`logits`."""
        import torch

        wanted = torch.tensor(targets, device=self.device)
        parts, done = [], 0
        for logits in self.logits(rows):
            chunk = wanted[done : done + len(logits), None]
            parts.append(torch.logsumexp(logits, -1) - logits.gather(-1, chunk)[:, 0])
            done += len(logits)
        return torch.cat(parts).cpu()

    def _prefix(self, rows: Sequence[Row], limit: int) -> tuple[int, ...]:
        """The start that all rows share, of at most ``limit`` tokens; empty where it is not worth a pass of its own.

        A start that is known already, and nearly as long, is taken instead, also for a row that is alone.
        """
        if not self.shares_prefix:
            return ()
        start = rows[0].ids[: common_prefix([row.ids[:limit] for row in rows])]
        known = max((ids for ids in self._prefixes if start[: len(ids)] == ids), key=len, default=())
        if known and (len(rows) == 1 or len(start) - len(known) < WORTH_SHARING):
            return known
        return start if len(rows) > 1 and len(start) >= WORTH_SHARING else ()

    def share(self, rows: Sequence[Row], limit: int) -> int:
        """Computes the start of at most ``limit`` tokens that all rows share, for the batches that they are cut into.

        Returns:
            Its tokens; 0 where it is not worth a pass of its own.
        """
        prefix = self._prefix(rows, limit)
        self._remember(prefix)
        return len(prefix)

    def _remember(self, prefix: tuple[int, ...]) -> None:
        """Computes keys, values and states of a start, and keeps them for later batches."""
        if not prefix or prefix in self._prefixes:
            return
        output = self.base(input_ids=self._padded([prefix]), use_cache=True)
        while len(self._prefixes) >= _KEPT_PREFIXES:
            del self._prefixes[next(iter(self._prefixes))]
        self._prefixes[prefix] = _Prefix(output.past_key_values, output.last_hidden_state[0])

    def _states(self, prefix: tuple[int, ...], rows: Sequence[Row]) -> torch.Tensor:
        """Hidden states behind the prefix."""
        states: torch.Tensor
        if not prefix:
            ids = self._padded([row.ids for row in rows])
            states = self.base(input_ids=ids, use_cache=False).last_hidden_state
            return states
        self._remember(prefix)
        cache = copy.deepcopy(self._prefixes[prefix].cache)
        cache.batch_repeat_interleave(len(rows))
        rest = self._padded([row.ids[len(prefix) :] for row in rows])
        states = self.base(input_ids=rest, past_key_values=cache, use_cache=True).last_hidden_state
        return states

    def _padded(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        import torch

        longest = max(len(ids) for ids in rows)
        padded = [[*ids, *[self.pad] * (longest - len(ids))] for ids in rows]
        return torch.tensor(padded, device=self.device)


def _probe(forward: CausalForward, vocabulary: int) -> tuple[bool, bool]:
    """Whether the logits are the head of the last hidden states, and whether a prefix can be computed once."""
    import torch

    ids = tuple(i % vocabulary for i in range(5, 5 + 12))
    rows = [Row(ids, 8), Row((*ids[:-2], ids[0]), 8)]
    with torch.inference_mode():
        try:
            states = forward.base(input_ids=forward._padded([ids]), use_cache=False).last_hidden_state
            full = forward.model(input_ids=forward._padded([ids]), use_cache=False).logits
            plain = forward.head is not None and torch.equal(forward.head(states), full)
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return False, False
        try:
            together = forward._states(ids[:6], rows)[0, 2 : len(ids) - 6].float()
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return plain, False
    forward.forget_prefixes()
    tolerance = 1e-4 if states.dtype == torch.float32 else 5e-2
    return plain, torch.allclose(together, states[0, 8:].float(), rtol=tolerance, atol=tolerance)


def with_less_memory(run: Callable[[Sequence[T]], list[Any]], items: Sequence[T]) -> list[Any]:
    """``run(items)``; where memory runs out, the two halves one after the other, and so on down to single items.

    Raises:
        WorkFailed: The memory does not suffice for one item.
    """
    try:
        return run(items)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(items) == 1:
            raise WorkFailed(
                "the memory does not suffice for one row: lower max_length or use a smaller model"
            ) from None
    _free_memory()
    get_console().detail(f"out of memory with {len(items)} rows at once: going on with half as many")
    half = len(items) // 2
    return with_less_memory(run, items[:half]) + with_less_memory(run, items[half:])


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "not enough memory" in str(error) or "out of memory" in str(error)


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
