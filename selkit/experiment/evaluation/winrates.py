"""Win rates of a judged test set for `selkit eval`: raw and length-controlled, with items and the judge's own rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from selkit.api import DataError
from selkit.evals.length_control import LengthControlled, direct_win_rate
from selkit.evals.summary import mean_with_error
from selkit.experiment.evaluation.duels import Answers, JudgedTestSet
from selkit.judge import PairwiseResult, item_scores, write_result
from selkit.pools.testsets import DIGESTS

WIN_RATE = "win_rate"
"""The mean over both orders (win 1, tie 0.5, loss 0): the metric that stands for a test set."""

LC_WIN_RATE = "lc_win_rate"
"""The win rate at equal lengths, fitted to these comparisons alone (:mod:`selkit.evals.length_control`)."""

_SIDED = 0.25
"""A share of passes won by the first place beyond this distance from a half is said aloud."""

_NOTHING = {"value": None, "se": None, "n": 0}


@dataclass(frozen=True)
class Judged:
    """A judged test set.

    Args:
        planned: The test set.
        result: What the judge said.
        mine: The subject's answers.
        theirs: The baseline's.
        items: Columns item, prompt, response, baseline_response, cluster, and win_rate, null without a verdict.
        length_controlled: The length-controlled win rate; None where no comparison has a verdict.
    """

    planned: JudgedTestSet
    result: PairwiseResult
    mine: Answers
    theirs: Answers
    items: pa.Table
    length_controlled: LengthControlled | None

    def to_dict(self) -> dict[str, Any]:
        """The entry of the test set under ``benchmarks`` of the results; values in [0, 1]."""
        planned, lc = self.planned, self.length_controlled
        return {
            "metrics": {WIN_RATE: self._win_rate(), LC_WIN_RATE: self._lc_win_rate()},
            "primary": WIN_RATE,
            "remarks": self.remarks(),
            "sample": planned.sample,
            "seed": planned.seed,
            "published_rows": planned.published,
            "data": self._data(),
            "judge": self.result.to_dict(),
            "length_controlled": lc.to_dict() if lc else None,
            "cut": {"model": self.mine.cut, "baseline": self.theirs.cut},
        }

    def remarks(self) -> list[str]:
        """What a reader must know of these rates, as clauses."""
        facts, remarks = self.result.to_dict(), []
        if facts["unparsed"]:
            low, high = facts["bounds"]["score"]
            remarks.append(
                f"{facts['unparsed']} of {facts['n']} comparisons have no verdict: with them the win rate would lie "
                f"between {100 * low:.1f} and {100 * high:.1f}"
            )
        place = facts["first_position_rate"]
        if place is not None and abs(place - 0.5) > _SIDED:
            remarks.append(
                f"the judge takes the answer that stands first in {100 * place:.0f}% of its decisions, so much of this "
                "is the place and not the answer"
            )
        if self.length_controlled and self.length_controlled.reason:
            remarks.append(f"length-controlled win rate: {self.length_controlled.reason}")
        if not self.result.complete:
            remarks.append("some passes got no answer of the judge: the same command asks for them again")
        return remarks

    def _win_rate(self) -> dict[str, Any]:
        known = self.items.filter(self.items[WIN_RATE].is_valid())
        if not known.num_rows:
            return dict(_NOTHING)
        scores = known[WIN_RATE].to_numpy().astype(np.float64)
        return dict(mean_with_error(scores, clusters=known["cluster"].to_pylist()).as_dict())

    def _lc_win_rate(self) -> dict[str, Any]:
        lc = self.length_controlled
        if lc is None or lc.lc_win_rate is None:
            return dict(_NOTHING)
        return {"value": lc.lc_win_rate / 100, "se": None if lc.lc_se is None else lc.lc_se / 100, "n": lc.n}

    def _data(self) -> dict[str, Any]:
        testset = self.planned.testset
        return {
            "rows": len(testset),
            "digest": testset.digest,
            "declared_digest": DIGESTS.get(testset.name),
            "departures": list(self.planned.departures),
        }


def judged(planned: JudgedTestSet, result: PairwiseResult, mine: Answers, theirs: Answers, *, seed: int = 0) -> Judged:
    """The win rates of a judged test set; ``seed`` is that of the bootstrap of the length-controlled one."""
    items = _items(planned, result)
    return Judged(planned, result, mine, theirs, items, _length_controlled(items, seed))


def write_judged(found: Mapping[str, Judged], folder: Path) -> None:
    """Writes passes.jsonl and summary.json of every test set to judging/NAME in a folder.

    Raises:
        DataError: The folder cannot be written.
    """
    for label, one in found.items():
        place = folder / "judging" / label
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{place} cannot be written ({error.strerror}): choose another folder with -o") from error
        write_result(one.result, place)


def _items(planned: JudgedTestSet, result: PairwiseResult) -> pa.Table:
    scores, conversations = item_scores(result.passes), planned.conversations
    rows = [
        {
            "item": one.id,
            "prompt": one.prompt,
            "response": one.first,
            "baseline_response": one.second,
            "cluster": conversations[one.id],
            WIN_RATE: scores[one.id],
        }
        for one in result.job.comparisons
    ]
    names = ["item", "prompt", "response", "baseline_response", "cluster"]
    return pa.Table.from_pylist(rows, pa.schema([*((n, pa.string()) for n in names), (WIN_RATE, pa.float64())]))


def _length_controlled(items: pa.Table, seed: int) -> LengthControlled | None:
    rows = [row for row in items.to_pylist() if row[WIN_RATE] is not None and math.isfinite(row[WIN_RATE])]
    if not rows:
        return None
    return direct_win_rate(
        [row[WIN_RATE] for row in rows],
        [len(row["response"]) for row in rows],
        [len(row["baseline_response"]) for row in rows],
        [row["cluster"] for row in rows],
        seed=seed,
    )
