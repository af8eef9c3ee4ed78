"""What the selections look like beside their pools: lengths, scores, verbs, what diversity changed, and how arms do by
category of prompt. Computed once, kept in the store where it takes reading a pool, and shown by the report."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selkit import __version__
from selkit.api import Pool, Scorer
from selkit.experiment.document.instructions import LIBRARY, method
from selkit.experiment.document.profiles import BINS, EXTREMES, counted, profile, score_profile, shifted
from selkit.experiment.judging.judging import Judged
from selkit.experiment.selection.selecting import Chosen
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Arm, Cell
from selkit.experiment.testsets.sets import JudgedSet
from selkit.select.scoring import SCORES
from selkit.select.training import nested
from selkit.store import Artifact, Draft, Key, Store, package_version, totals

VERBS = {"pool": 50, "selection": 20}
"""Verbs named of a pool and of a selection."""

_FILE = "diagnostics.json"
_DIVERSITY = (
    *("clusters", "rows_added_by_clusters", "cluster_winners", "cluster_winners_left_out"),
    *("similarity_threshold", "filter_examined", "filter_dropped", "topped_up"),
)

Row = dict[str, Any]


def diagnostics_of(
    experiment: Experiment, chosen: Mapping[Cell, Chosen], judged: Iterable[Judged]
) -> tuple[Row, list[str]]:
    """The ``diagnostics`` of report.json, and the keys under which their costly parts are stored.

    Args:
        experiment: The experiment.
        chosen: The selections, by cell.
        judged: The judged cells.

    Returns:
        ``verb_method``: how leading verbs are found, or why they are not. ``pools`` and ``selections``: words of
        instructions and responses, and leading verbs; of a selection also the ``shift`` of the mean lengths against its
        pool, in words and in standard deviations of the pool. ``scores``: of every scorer that a selection used, its
        histogram over the pool and over what was chosen, and the rows at both ends. ``diversity``: what selectors say
        of rows that a plain ranking would not have taken. ``categories``: see :func:`by_category`.
    """
    stage = _Stage(experiment.store)
    pools = {label: stage.pool(pool) for label, pool in experiment.pools.items()}
    own = [choice for cell, choice in chosen.items() if cell.arm != ANCHOR]
    found = {
        "verb_method": method(),
        "pools": [{"pool": label, **profile} for label, profile in pools.items()],
        "selections": [
            {
                **choice.cell.columns(),
                **shifted(stage.selection(experiment.pools[choice.cell.pool], choice), pools[choice.cell.pool]),
            }
            for choice in own
        ],
        "scores": list(_scores(experiment, own, stage)),
        "diversity": diversity(own),
        "categories": by_category(judged, experiment.testsets),
    }
    return found, stage.keys


def scoring_costs(store: Store, scores: Iterable[Row]) -> list[Row]:
    """What scoring a pool took per 1,000 of its rows, for the ``scores`` of :func:`diagnostics_of`.

    It depends on clock and machine. Seconds, tokens, calls and dollars stand under the names of the ledger; ``uses`` of
    a pass, such as a training, are rows of their own in the ledger and are not in here.
    """
    return [
        {
            **{name: row[name] for name in ("pool", "scorer", "parameters", "key", "rows")},
            "per_1000": {
                resource: 1000 * quantity / row["rows"]
                for resource, quantity in totals(store.ledger([row["key"]])).items()
                if row["rows"] and not resource.startswith("peak_")
            },
        }
        for row in scores
    ]


class _Stage:
    """Keeps what was computed in the store, and remembers the keys."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keys: list[str] = []

    def pool(self, pool: Pool) -> Row:
        return self._value("pool", {"pool": pool.fingerprint}, lambda: profile(pool, VERBS["pool"]))

    def selection(self, pool: Pool, choice: Chosen) -> Row:
        inputs = {"rows": choice.digest}
        return self._value("selection", inputs, lambda: profile(pool.take(choice.ids), VERBS["selection"]))

    def scores(self, pool: Pool, scores: Artifact) -> Row:
        inputs = {"pool": pool.fingerprint, "scores": scores.digest}
        return self._value("scores", inputs, lambda: score_profile(_table(scores), pool))

    def chosen(self, scores: Artifact, choice: Chosen, edges: Sequence[float]) -> Row:
        inputs = {"rows": choice.digest, "scores": scores.digest}
        return self._value("chosen", inputs, lambda: counted(_values(scores, choice.ids), edges))

    def _value(self, what: str, inputs: Mapping[str, str], make: Callable[[], Row]) -> Row:
        versions = {"selkit": __version__, LIBRARY: package_version(LIBRARY) or "none"}
        settings = {"bins": BINS, "extremes": EXTREMES, "verbs": VERBS}

        def write(draft: Draft) -> None:
            (draft.directory / _FILE).write_text(json.dumps(make(), ensure_ascii=False), encoding="utf-8")

        artifact = self.store.obtain(Key("diagnostics", what, settings, versions, dict(inputs)), write)
        self.keys = list(dict.fromkeys([*self.keys, artifact.digest]))
        value: Row = json.loads(artifact.file(_FILE).read_text(encoding="utf-8"))
        return value


def diversity(chosen: Iterable[Chosen]) -> list[Row]:
    """What the diversity stage of a selector changed, for selectors that say it (CaR, DEITA)."""
    return [
        {
            **choice.cell.columns(),
            "rows": len(choice.ids),
            "changed": choice.facts["rows_changed_by_diversity"],
            "facts": {name: choice.facts[name] for name in _DIVERSITY if name in choice.facts},
        }
        for choice in chosen
        if "rows_changed_by_diversity" in choice.facts
    ]


def by_category(judged: Iterable[Judged], testsets: Sequence[JudgedSet]) -> list[Row]:
    """Wins, ties, losses and win rate of every arm by the category of the prompt, all runs pooled (CaR, Table 4).

    A comparison is won where its score over both orders is above a half. ``ws`` is the paper's winning score,
    (win - lose) / n + 1. Prompts without a category and comparisons without a verdict are left out; so is a test set of
    a single category.
    """
    sets = {one.endpoint: testset for testset in testsets for one in testset.judges}
    groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for one in judged:
        testset = sets[one.endpoint]
        for item, score in one.scores.items():
            category = testset.prompts[testset.conversations[item]].category
            if score is not None and category is not None:
                cell = one.cell
                groups[one.endpoint, category, cell.pool, cell.budget, cell.recipe, cell.model, cell.arm].append(score)
    categories: dict[str, set[str]] = defaultdict(set)
    for place in groups:
        categories[place[0]].add(place[1])
    names = ("testset", "category", "pool", "budget", "recipe", "model", "arm")
    return [
        dict(zip(names, place, strict=True)) | _won(scores)
        for place, scores in groups.items()
        if len(categories[place[0]]) > 1
    ]


def _won(scores: Sequence[float]) -> Row:
    win, lose = sum(score > 0.5 for score in scores), sum(score < 0.5 for score in scores)
    rate = round(100 * float(np.mean(scores)), 6)
    ws = round((win - lose) / len(scores) + 1, 6)
    return {"n": len(scores), "win": win, "tie": len(scores) - win - lose, "lose": lose, "win_rate": rate, "ws": ws}


def _scores(experiment: Experiment, chosen: Sequence[Chosen], stage: _Stage) -> Iterator[Row]:
    """Every scorer's scores that a selection used, once per pool."""
    users: dict[tuple[str, str], list[Chosen]] = defaultdict(list)
    for choice in chosen:
        for digest in _used(experiment.store, choice):
            users[choice.cell.pool, digest].append(choice)
    for (label, digest), choices in users.items():
        artifact = experiment.store.get(digest)
        if artifact is None or artifact.key.stage != "scores" or SCORES not in artifact.names:
            continue
        profile = stage.scores(experiment.pools[label], artifact)
        yield {
            "pool": label,
            "scorer": artifact.key.component,
            "parameters": artifact.key.parameters,
            "higher_is_better": _direction(experiment.arm(choices[0].cell.arm), artifact.key.component),
            "key": digest,
            "rows": len(experiment.pools[label]),
            **profile,
            "selections": [
                {**choice.cell.columns(), **stage.chosen(artifact, choice, profile["edges"])} for choice in choices
            ],
        }


def _used(store: Store, choice: Chosen) -> Sequence[str]:
    """Keys of the stored results that the choice used."""
    artifact = store.get(choice.key)
    found: Sequence[str] = artifact.facts.get("scores", ()) if artifact else ()
    return found


def _direction(arm: Arm, name: str) -> bool | None:
    parts = (part for part in nested(arm.selector) if isinstance(part, Scorer) and part.name == name)
    return next((part.higher_is_better for part in parts), None)


def _table(scores: Artifact) -> pa.Table:
    return pq.read_table(scores.file(SCORES), columns=["id", "score"])


def _values(scores: Artifact, ids: Sequence[str]) -> NDArray[np.float64]:
    """The finite scores of these rows."""
    table = _table(scores)
    kept = table.filter(
        pc.and_(pc.is_in(table["id"], value_set=pa.array(ids, pa.string())), pc.is_finite(table["score"]))
    )
    values: NDArray[np.float64] = kept["score"].to_numpy()
    return values
