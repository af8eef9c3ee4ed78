"""A judge that needs no key and no model: closeness to the test set's own answer. It is not a language model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from selkit.api import Comparison, Context, Judgement, Outcome, PairwiseJudge


@dataclass
class Reference(PairwiseJudge):
    """Prefers the response closer to the reference by chrF; ties inside a margin.

    chrF is sacrebleu's sentence-level score (character 6-grams, beta 2) between 0 and 100. The judge says how near a
    response is to one known answer and nothing about its quality otherwise.

    Args:
        margin: Largest difference, in points of chrF, that still counts as a tie.
    """

    name = "reference"
    requires = ("sacrebleu",)
    extra = "selkit-eval[eval]"
    needs_reference = True
    margin: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 100:
            raise ValueError(f"margin is in points of chrF between 0 and 100, not {self.margin}")

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """One judgement per comparison; without a reference there is none."""
        from sacrebleu.metrics.chrf import CHRF

        chrf = CHRF()
        for comparison in ctx.track(comparisons, description="reference judge"):
            if not comparison.reference:
                yield Judgement.failed(comparison, Outcome.MALFORMED, "the prompt has no reference")
                continue
            first, second = (
                chrf.sentence_score(text, [comparison.reference]).score
                for text in (comparison.first, comparison.second)
            )
            yield Judgement.of(comparison, self._preference(first - second), f"{first:.4f} {second:.4f}")

    def _preference(self, lead: float) -> float:
        if abs(lead) <= self.margin:
            return 0.5
        return 1.0 if lead > 0 else 0.0
