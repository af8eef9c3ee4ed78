"""How well a selector tells right rows from wrong ones, on a pool whose truth is known, beside what is built in."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selkit.api import BaseSelector, Pool, SelkitError, UsageError
from selkit.plugins import build
from selkit.pools.planted import CORRUPTIONS, planted_pool
from selkit.select import Arms
from selkit.testing.guards import kept_state, undisturbed
from selkit.testing.run import make_subject
from selkit.testing.subjects import SelectorSubject

ROWS = 400
"""Rows of the pool, unless told otherwise: few enough for seconds."""

SEEDS = 5
"""Seeds over which the choice of a seeded selector is averaged."""

_PEERS: dict[str, Mapping[str, Any]] = {"random": {}, "longest": {"unit": "words"}, "shortest": {"unit": "words"}}


@dataclass(frozen=True)
class PlantedEntry:
    """One line of the table.

    Args:
        name: The selector, or 'chance'.
        recall: Share of the right rows that it chose, the mean over seeds.
        spread: Standard deviation of that share over seeds; 0 where the seed does not matter.
        chosen: Share of the rows of each kind of corruption that it chose, the mean over seeds.
    """

    name: str
    recall: float
    spread: float
    chosen: Mapping[str, float]


@dataclass(frozen=True)
class PlantedTable:
    """Recall at a budget on a planted pool.

    Args:
        rows: Rows of the pool.
        right: How many of them are right.
        budget: How many were chosen.
        kinds: The kinds of corruption, with the number of rows of each.
        entries: The selector, then chance, the oracle and the built-ins.
        notes: What else there is to know, e.g. why a control is missing.
    """

    rows: int
    right: int
    budget: int
    kinds: Mapping[str, int]
    entries: tuple[PlantedEntry, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The table as plain data for JSON."""
        entries = [
            {"name": e.name, "recall": e.recall, "spread": e.spread, "chosen": dict(e.chosen)} for e in self.entries
        ]
        head = {"rows": self.rows, "right": self.right, "budget": self.budget, "kinds": dict(self.kinds)}
        return {**head, "entries": entries, "notes": list(self.notes)}

    def title(self) -> str:
        """The line above the table."""
        return (
            f"A planted pool of {self.rows} rows, {self.right} of them right, and a budget of {self.budget}: the share "
            "of the right rows that is chosen (recall), and of the wrong ones of each kind"
        )

    def cells(self) -> Iterator[list[object]]:
        """Cells of each line: name, recall, and the share of each kind."""
        for entry in self.entries:
            spread = f" ±{entry.spread:.3f}" if entry.spread else ""
            yield [entry.name, f"{entry.recall:.3f}{spread}", *(f"{entry.chosen[kind]:.2f}" for kind in self.kinds)]


def planted_table(
    component: BaseSelector,
    *,
    pool: Pool | None = None,
    budget: int | None = None,
    base_model: str | None = None,
    seeds: int = SEEDS,
) -> PlantedTable:
    """Recall at a budget of a selector, of chance, of the oracle, and of built-in selectors, on a planted pool.

    One of the built-ins draws at random with the length profile of the selector's own choice: a method that does not
    beat it has found long rows, not good ones.

    Args:
        component: The selector.
        pool: A pool from :func:`planted_pool`; by default one of :data:`ROWS` rows, half of them wrong, of every kind.
        budget: How many rows are chosen; by default as many as are right, so that the oracle has 1.
        base_model: Reference of the model that fills the selector's unset model parameters.
        seeds: How many seeds a seeded selector is averaged over.

    Raises:
        UsageError: The pool does not say which of its rows are right, or there is nothing to average over.
        SelkitError: The selector does not run.
    """
    pool = planted_pool(ROWS, kinds=tuple(CORRUPTIONS)) if pool is None else pool
    if not {"truth", "corruption"} <= set(pool.columns):
        raise UsageError(
            f"pool {pool.name!r} does not say which of its rows are right: take selkit.testing.planted_pool"
        )
    if seeds < 1:
        raise UsageError(f"{seeds} seeds are nothing to average over: take 1 or more")
    right = sum(pool.column("truth").to_pylist())
    truth = _Truth(dict(zip(pool.ids, pool.column("corruption").to_pylist(), strict=True)))
    choose = _Chooser(pool, right if budget is None else budget, base_model, seeds)
    own = choose(component)
    rows = len(own[0]) if not component.sized else choose.budget
    choose = _Chooser(pool, rows, base_model, seeds)
    entries = [truth.entry(component.name, own), truth.chance(rows / len(pool))]
    entries.append(truth.entry("oracle", choose(build("selector", "oracle"))))
    peers = {name: build("selector", name, given) for name, given in _PEERS.items()}
    entries += [truth.entry(name, choose(peer)) for name, peer in peers.items() if peer != component]
    entry, note = _length_matched(truth, choose, own[0])
    notes = [note, _short(component.name, own, rows)]
    found = (*entries, *([entry] if entry else []))
    return PlantedTable(len(pool), right, rows, truth.kinds, found, tuple(filter(None, notes)))


@dataclass(frozen=True)
class _Truth:
    """What became of every row: 'none', or the kind of its corruption, by id."""

    corruption: Mapping[str, str]

    @property
    def kinds(self) -> dict[str, int]:
        found = list(self.corruption.values())
        return {kind: found.count(kind) for kind in CORRUPTIONS if kind in found}

    def entry(self, name: str, choices: Sequence[Sequence[str]]) -> PlantedEntry:
        recalls = [self._share(chosen, "none") for chosen in choices]
        shares = {kind: float(np.mean([self._share(chosen, kind) for chosen in choices])) for kind in self.kinds}
        return PlantedEntry(name, float(np.mean(recalls)), float(np.std(recalls)), shares)

    def chance(self, share: float) -> PlantedEntry:
        """What a blind draw finds on average: of every kind the share of the pool that is drawn."""
        return PlantedEntry("chance", share, 0.0, dict.fromkeys(self.kinds, share))

    def _share(self, chosen: Sequence[str], kind: str) -> float:
        all_of_kind = sum(one == kind for one in self.corruption.values())
        return sum(self.corruption[i] == kind for i in chosen) / all_of_kind if all_of_kind else 0.0


@dataclass(frozen=True)
class _Chooser:
    """Runs selectors on the pool under every seed."""

    pool: Pool
    budget: int
    base_model: str | None
    seeds: int

    def __call__(self, component: BaseSelector, arms: Arms | None = None) -> list[tuple[str, ...]]:
        seeds = range(self.seeds if component.seeded else 1)
        with tempfile.TemporaryDirectory(prefix="selkit-planted-") as folder, undisturbed(), kept_state():
            subject = make_subject(component, Path(folder), pool=self.pool, base_model=self.base_model, arms=arms)
            assert isinstance(subject, SelectorSubject)
            return [subject.choose(self.budget, seed=seed).ids for seed in seeds]


def _length_matched(
    truth: _Truth, choose: Callable[..., list[tuple[str, ...]]], own: Sequence[str]
) -> tuple[PlantedEntry | None, str]:
    """Random rows with the lengths of the selector's own choice; without, and why, where that cannot be drawn."""
    name = "length-matched-random"
    try:
        choices = choose(build("selector", name, {"like": "own"}), Arms(chosen={"own": own}, named={"own": own}))
    except SelkitError as error:
        return None, f"{name} is missing: {error}"
    return truth.entry(name, choices), ""


def _short(name: str, choices: Sequence[Sequence[str]], rows: int) -> str:
    fewest = min(map(len, choices))
    return f"{name} chose {fewest} rows of the {rows} it was asked for" if fewest < rows else ""
