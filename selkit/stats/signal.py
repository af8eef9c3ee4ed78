"""Signal to noise: does a benchmark tell selectors apart better than it tells random's own runs apart?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selkit.stats.drafts import Draft
from selkit.stats.rules import Rules

INFORMATIVE = 2.0
"""A benchmark with a smaller ratio is marked as not informative here."""


@dataclass(frozen=True)
class SignalRow:
    """One benchmark in one pool and budget, in points of 100.

    Attributes:
        selectors: Arms whose scores make the signal; the control is not among them.
        signal: The largest mean score of a selector less the smallest.
        noise: Standard deviation between the control's runs.
        ratio: Signal over noise; None where the control's runs do not differ or are fewer than two.
        informative: Whether the ratio is at least 2; None where it is not known.
    """

    benchmark: str
    pool: Any
    budget: Any
    model: Any
    selectors: int
    signal: float
    noise: float | None
    ratio: float | None
    informative: bool | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def signal_rows(found: Sequence[Draft], rules: Rules) -> list[SignalRow]:
    """The ratio of every endpoint that two selectors or more were scored on.

    Source: D. Heineman et al., 'Signal and Noise', 2025 (arXiv 2508.13144), with selectors in place of models and the
    control's runs in place of checkpoints; the means by which both are divided there cancel.
    """
    groups: dict[tuple[Any, ...], list[Draft]] = defaultdict(list)
    for draft in found:
        if draft.control.arm == rules.control and draft.arm.runs and draft.control.runs:
            groups[(draft.endpoint.name, *draft.block.place.ground)].append(draft)
    return [_row(group) for group in groups.values() if len(group) > 1]


def _row(group: Sequence[Draft]) -> SignalRow:
    place = group[0].block.place
    means = [float(draft.arm.scores.mean()) for draft in group]
    control = group[0].control.scores
    noise = float(control.std(ddof=1)) if len(control) > 1 else None
    signal = max(means) - min(means)
    ratio = signal / noise if noise is not None and noise > 1e-12 else None
    return SignalRow(
        benchmark=group[0].endpoint.name,
        pool=place.pool,
        budget=place.budget,
        model=place.model,
        selectors=len(group),
        signal=100 * signal,
        noise=None if noise is None else 100 * noise,
        ratio=ratio,
        informative=None if ratio is None else ratio >= INFORMATIVE,
    )
