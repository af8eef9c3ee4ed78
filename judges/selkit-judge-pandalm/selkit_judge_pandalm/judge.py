"""PandaLM: a language model, trained to compare two responses, that runs on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Literal

from selkit.api import (
    Comparison,
    Context,
    Decoding,
    Generation,
    Judgement,
    LanguageModel,
    LocalEngine,
    MissingExtra,
    Outcome,
    PairwiseJudge,
    UsageError,
)
from selkit_judge_pandalm.citations import PANDALM
from selkit_judge_pandalm.prompt import cleaned, first_line_ended, parse, prompt_of

UNREADABLE = "the first line of the judge's answer is neither 1 nor 2 nor Tie"


@dataclass
class PandaLM(PairwiseJudge):
    """PandaLM, a model trained to say which of two responses is better, and why.

    Args:
        model: The judge model: PandaLM, or another that continues the same prompt.
        unparsed: What an answer is whose first line is neither 1 nor 2 nor Tie: 'unparsed', or a 'tie' as in PandaLM's
            own code.
        beams: Beams of the search; 1 is greedy.
        repetition_penalty: 1 leaves the probabilities as they are.
        max_new_tokens: Longest answer, in tokens: the verdict, its reason and a reference answer.
        engine: What runs the model: transformers ('hf') or 'vllm', which has no beam search.
    """

    name: ClassVar[str] = "pandalm"
    citation: ClassVar[str] = PANDALM
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str = "hub:WeOpenML/PandaLM-7B-v1"
    unparsed: Literal["unparsed", "tie"] = "unparsed"
    beams: int = 4
    repetition_penalty: float = 1.2
    max_new_tokens: int = 512
    engine: LocalEngine = "hf"

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_new_tokens < 1:
            raise UsageError("beams and max_new_tokens of judge 'pandalm' are whole numbers from 1 on")
        if self.repetition_penalty <= 0:
            raise UsageError(f"the repetition penalty of judge 'pandalm' is above 0, not {self.repetition_penalty:g}")
        if self.engine == "vllm" and self.beams > 1:
            raise UsageError(
                f"engine vllm has no beam search, and judge 'pandalm' has {self.beams} beams: add beams=1, or leave "
                "engine=vllm out"
            )

    def preflight(self, ctx: Context) -> None:
        """Makes sure that the engine is installed."""
        if self.engine == "vllm" and find_spec("vllm") is None:
            raise MissingExtra.of("judge 'pandalm' with engine=vllm", "vllm")

    @property
    def decoding(self) -> Decoding:
        """PandaLM's: a beam search with a penalty on what was said already."""
        return Decoding(self.max_new_tokens, repetition_penalty=self.repetition_penalty, num_beams=self.beams)

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterator[Judgement]:
        """Lets the model evaluate each comparison; one that does not fit its context fails alone."""
        model = ctx.model(self.model, engine=self.engine)
        prompts = [prompt_of(comparison) for comparison in comparisons]
        sizes = model.lengths(prompts).tolist()
        fitting = [place for place, size in enumerate(sizes) if size < model.context]
        answers = self._answers(model, {place: prompts[place] for place in fitting}, sizes, ctx)
        self._tell_cleaned(comparisons, ctx)
        for place, comparison in enumerate(comparisons):
            if place in answers:
                yield self.judgement(comparison, answers[place], sizes[place])
            else:
                reason = f"the comparison fills the {model.context} tokens of the judge's context"
                yield Judgement.failed(comparison, Outcome.TRUNCATED, reason)

    def judgement(self, comparison: Comparison, answer: Generation, tokens: int) -> Judgement:
        """What one answer says; ``tokens`` counts those of its prompt."""
        usage = {"input": float(tokens), "output": float(answer.tokens)}
        cut = answer.finish_reason == "length" and not first_line_ended(answer.text)
        preference = None if cut else parse(answer.text)
        if preference is None and self.unparsed == "tie":
            preference = 0.5
        if preference is not None:
            return Judgement.of(comparison, preference, answer.text, **usage)
        if cut:
            reason = "the judge's answer ended at the token limit within its first line"
            return Judgement.failed(comparison, Outcome.TRUNCATED, reason, answer.text, **usage)
        return Judgement.failed(comparison, Outcome.MALFORMED, UNREADABLE, answer.text, **usage)

    def _answers(
        self, model: LanguageModel, prompts: dict[int, str], sizes: Sequence[int], ctx: Context
    ) -> dict[int, Generation]:
        """The model's answers by place; the longest prompts first, so that neighbours need little padding."""
        order = sorted(prompts, key=lambda place: (-sizes[place], prompts[place]))
        written = model.generate([prompts[place] for place in order], self.decoding)
        tracked = ctx.track(written, total=len(order), description=self.name)
        return {place: answer for place, (answer,) in zip(order, tracked, strict=True)}

    def _tell_cleaned(self, comparisons: Sequence[Comparison], ctx: Context) -> None:
        texts = [text for comparison in comparisons for text in (comparison.first, comparison.second)]
        if changed := sum(cleaned(text) != text.strip() for text in texts):
            ctx.log(f"pandalm: special tokens were taken out of {changed} of {len(texts)} responses, as PandaLM does")
