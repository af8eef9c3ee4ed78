"""The validation split of a recipe search: rows held out of a pool before anything is selected from it.

Recipes are chosen by it and arms are compared on test sets, so it must share nothing with either: no row that a
selection could take asks what a held-out row asks, and no held-out row shares text with a test set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from selkit.api import ContractViolation, DataError, Pool
from selkit.experiment.cells.job import HeldOut
from selkit.experiment.contamination.ngrams import words_of
from selkit.experiment.contamination.shared import ItemSource, shared_with
from selkit.experiment.spec.entries import SearchSpec
from selkit.pools import write_jsonl
from selkit.store import Draft, Key, Store, digest_text

ROWS = "rows.jsonl"
_BATCH_ROWS = 4096


@dataclass(frozen=True)
class Split:
    """A pool in two.

    Args:
        kept: What selectors see.
        held: The validation rows.
        alike: Ids of rows in neither part: they ask what a validation row asks.
        barred: How many rows could not be held out, because they share text with a test set or belong to a given
            subset.
    """

    kept: Pool
    held: Pool
    alike: tuple[str, ...]
    barred: int

    def check(self, ids: Collection[str]) -> None:
        """Makes sure that a selection holds no validation row and none that asks the same.

        Raises:
            ContractViolation: It does.
        """
        if wrong := sorted({*self.held.ids, *self.alike} & set(ids)):
            raise ContractViolation(f"a selection holds row {wrong[0]!r}, which was held out to choose recipes by")


def split(pool: Pool, share: float, most: int, barred: Collection[str] = ()) -> Split:
    """Holds out a part of a pool, drawn by a fixed seed, so that it is the same everywhere.

    Rows that ask the same (case, punctuation and white space do not count) stay together: one of them is held out, and
    the others are left out.

    Args:
        pool: The pool.
        share: Share of its rows to hold out.
        most: Rows to hold out at most.
        barred: Ids that are not to be held out, nor what asks the same.

    Raises:
        DataError: No row can be held out.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for id_, asked in _questions(pool):
        groups[asked].append(id_)
    never = set(barred)
    free = sorted(asked for asked, ids in groups.items() if never.isdisjoint(ids))
    if not free or len(free) == len(groups) == 1:
        raise DataError(
            f"no row of pool {pool.name!r} can be held out to choose recipes by: all share text with a test set or "
            "belong to a given subset, so take a larger pool, or one recipe"
        )
    wanted = min(max(1, min(most, round(share * len(pool)))), len(free))
    drawn = [groups[free[place]] for place in np.random.default_rng(0).permutation(len(free))[:wanted]]
    held = {min(ids) for ids in drawn}
    alike = {id_ for ids in drawn for id_ in ids} - held
    kept = [id_ for id_ in pool.ids if id_ not in held and id_ not in alike]
    barred_rows = sum(len(ids) for ids in groups.values() if not never.isdisjoint(ids))
    return Split(pool.take(kept), pool.take(sorted(held)), tuple(sorted(alike)), barred_rows)


def split_pool(
    pool: Pool, search: SearchSpec, given: Collection[str], tested: Sequence[ItemSource], store: Store
) -> Split:
    """Holds out a part of a pool as a spec asks for it.

    Args:
        pool: The pool.
        search: What the spec says.
        given: Ids of the rows of given subsets, which have to stay.
        tested: Every test set and benchmark; rows that share text with one are not held out.
        store: Where it is kept which rows these are.

    Raises:
        DataError: No row can be held out.
    """
    shared = shared_with(pool, tested, store).values()
    barred = {*given, *(row for one in shared for row in one.rows)}
    return split(pool, search.share, search.rows, barred)


def stored_rows(part: Split, store: Store) -> HeldOut:
    """The validation rows as a file that every worker can read."""

    def make(draft: Draft) -> None:
        write_jsonl(part.held, draft.directory / ROWS)

    key = Key("validation-rows", "pool", inputs={"pool": part.held.fingerprint})
    return HeldOut(store.obtain(key, make).file(ROWS), part.held.fingerprint, part.held.turns)


def _questions(pool: Pool) -> Iterator[tuple[str, str]]:
    """Id, and digest of the words of all that a row asks: earlier turns, instruction and input."""
    columns = ["id", "instruction", "input", "history"]
    for batch in pool.table.select(columns).to_batches(max_chunksize=_BATCH_ROWS):
        for id_, *asked, history in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
            texts = [turn["content"] for turn in history or ()] + asked
            yield id_, digest_text(" ".join(word for text in texts for word in words_of(text or "")))
