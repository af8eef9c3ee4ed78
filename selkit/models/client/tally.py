"""What calls came to, entered into the store's ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from selkit.models.client.cache import AnswerCache
from selkit.store import LedgerRow
from selkit.store.ledger import append_rows, read_rows

STAGE = "chat"


class Tally:
    """Counts answers by account, and enters them into the ledger.

    What was paid for is read from the stored answers, which also hold those of a process that was killed before it
    could enter them; entered is what the ledger does not have yet.

    Args:
        root: The store's folder.
        cache: The stored answers.
    """

    def __init__(self, root: Path, cache: AnswerCache) -> None:
        self._root = root
        self._cache = cache
        self._found: Counter[str] = Counter()
        self._used: set[str] = set()
        self._sources: dict[str, str] = {}

    def opened(self, account: str, source: str) -> None:
        """A series of requests on an account begins; ``source`` says where its prices stand."""
        self._used.add(account)
        self._sources[account] = source

    def found(self, account: str) -> None:
        """An answer was stored already."""
        self._found[account] += 1

    def enter(self) -> None:
        """Enters what is not in the ledger yet."""
        used, self._used = self._used, set()
        found, self._found = self._found, Counter()
        if not used:
            return
        before: defaultdict[tuple[str, str], float] = defaultdict(float)
        for row in read_rows(self._root):
            if row.stage == STAGE and row.key in used:
                before[row.key, row.resource] += row.quantity
        rows = [row for account in sorted(used) for row in self._rows(account, found[account], before)]
        if rows:
            append_rows(self._root, rows)

    def _rows(self, account: str, found: int, before: Mapping[tuple[str, str], float]) -> list[LedgerRow]:
        paid = self._cache.paid(account)
        usage, prices = "the endpoint's usage", self._sources[account]
        totals: list[tuple[str, float, str]] = [
            ("calls", paid.calls, "measured"),
            ("input_tokens", paid.input, usage),
            ("output_tokens", paid.output, usage),
        ]
        if paid.dollars is not None:
            totals.append(("dollars", paid.dollars, prices))
        rows = [
            LedgerRow(STAGE, account, name, total - before.get((account, name), 0.0), by) for name, total, by in totals
        ]
        rows.append(LedgerRow(STAGE, account, "cached_calls", found, "measured"))
        return [row for row in rows if row.quantity]
