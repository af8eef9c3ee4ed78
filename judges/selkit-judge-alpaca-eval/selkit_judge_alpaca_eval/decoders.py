"""Annotators that alpaca_eval asks by itself, through its own decoders; what they swallow becomes an outcome."""

from __future__ import annotations

import copy
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from selkit.api import Comparison, Context, DataError, Judgement, Outcome, WorkFailed
from selkit_judge_alpaca_eval.asking import obstacle
from selkit_judge_alpaca_eval.configuration import Annotator, Configuration
from selkit_judge_alpaca_eval.package import Single, annotators_of, drawn, quiet
from selkit_judge_alpaca_eval.template import MARKS, examples_of, filled
from selkit_judge_alpaca_eval.verdicts import preference, written

CHUNK = 64
"""Comparisons that a decoder gets at once; a kill costs no more."""

_REFUSED = (401, 403, 404)
_NO_MONEY = "insufficient_quota"


@dataclass(frozen=True)
class _Answer:
    """What a decoder gave for one prompt: its completion, all that is known of it, and dollars."""

    completion: Any
    whole: Mapping[str, Any]
    usage: Mapping[str, float]


def judged_by(
    configuration: Configuration, comparisons: Sequence[Comparison], ctx: Context, *, seed: int, read_cut: bool
) -> Iterator[Judgement]:
    """The judgements of annotators that alpaca_eval asks, in order.

    Args:
        configuration: The annotators.
        comparisons: What they compare.
        ctx: The judge's context.
        seed: Seed by which one of several annotators is drawn.
        read_cut: Whether answers that were cut at the limit are read.

    Raises:
        DataError: The provider refuses the key or the model.
        WorkFailed: The account has no money left, or nothing is answered any more.
    """
    singles = annotators_of(configuration, seed)
    why = obstacle(configuration)
    ctx.log(
        f"alpaca_eval itself sends the requests{f', since {why}' if why else ''}: selkit's cache, retries, prices and "
        "caps do not hold for them"
    )
    by_name = {one.name: one for one in configuration.annotators}
    failures = 0
    chunks = [comparisons[start : start + CHUNK] for start in range(0, len(comparisons), CHUNK)]
    for chunk in ctx.track(chunks, description=configuration.path.parent.name):
        groups: dict[str, list[Comparison]] = defaultdict(list)
        for comparison in chunk:
            groups[drawn(comparison.prompt, seed, list(by_name))].append(comparison)
        found: dict[tuple[str, str], Judgement] = {}
        for name, group in groups.items():
            for judgement in _judged(by_name[name], singles[name], group, read_cut):
                found[judgement.id, judgement.order] = judgement
        failures = failures + 1 if all(one.outcome == Outcome.API_ERROR for one in found.values()) else 0
        yield from (found[comparison.id, comparison.order] for comparison in chunk)
        if failures == 2:
            reason = next(iter(found.values())).reason
            raise WorkFailed(f"nothing is answered any more ({reason}): what was is stored; run again when it works")


def _judged(annotator: Annotator, single: Single, group: Sequence[Comparison], read_cut: bool) -> Iterator[Judgement]:
    marked = annotator.template.lstrip().startswith(MARKS[0])
    refused = [c for c in group if marked and any(mark in text for mark in MARKS for text in _texts(c))]
    for comparison in refused:
        reason = "not asked: the text holds ChatML's marks, which alpaca_eval would take for turns of the conversation"
        yield Judgement.failed(comparison, Outcome.MALFORMED, reason)
    asked = [comparison for comparison in group if comparison not in refused]
    if not asked:
        return
    prompts = [filled([annotator.template], examples_of(c, annotator.name, annotator.batch_size))[0] for c in asked]
    answers = _answers(single, prompts)
    if isinstance(answers, str):
        yield from (Judgement.failed(comparison, Outcome.API_ERROR, answers) for comparison in asked)
        return
    for comparison, answer in zip(asked, answers, strict=True):
        yield _judgement(annotator, single, comparison, answer, read_cut)


def _answers(single: Single, prompts: list[str]) -> list[_Answer] | str:
    """The answers to prompts, or why there are none. Whatever a decoder prints, logs or says of a failure may hold a
    key, and stays here."""
    settings = copy.deepcopy(dict(single.completions_kwargs))
    try:
        with quiet(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            found = single.fn_completions(prompts=prompts, **settings)
        columns = [found[single.completion_key], found.get("completions_all"), found.get("price_per_example")]
    except Exception as error:  # decoders raise what their clients raise
        return _told(error)
    if len(columns[0] or []) != len(prompts):
        return f"alpaca_eval gave {len(columns[0] or [])} answers to {len(prompts)} prompts"
    rows = zip(*(column or [None] * len(prompts) for column in columns), strict=True)
    return [
        _Answer(completion, whole if isinstance(whole, Mapping) else {}, _usage(price))
        for completion, whole, price in rows
    ]


def _told(error: Exception) -> str:
    """The reason of a failure that another try may mend; the others end the run."""
    name, status = type(error).__name__, getattr(error, "status_code", None)
    said = f"alpaca_eval's decoder stopped with {name}{f' (HTTP {status})' if status else ''}"
    if getattr(error, "code", None) == _NO_MONEY:
        raise WorkFailed(f"the account has no money left ({said}): top it up and run the same command again") from None
    if status in _REFUSED:
        what = "does not know the model" if status == 404 else "refuses the key"
        raise DataError(f"the provider {what} ({said}): what was answered is stored; mend it and run again") from None
    return said


def _judgement(
    annotator: Annotator, single: Single, comparison: Comparison, answer: _Answer, read_cut: bool
) -> Judgement:
    """What an answer means."""
    raw = written(answer.completion)
    outcome, reason = _failure(answer, read_cut or annotator.settings.get("max_tokens") == 1)
    if outcome != Outcome.OK:
        return Judgement.failed(comparison, outcome, reason, raw, **answer.usage)
    found = preference(single, answer.completion, annotator.batch_size, annotator.parser)
    if found is None:
        reason = "alpaca_eval's parser finds no verdict in the answer"
        return Judgement.failed(comparison, Outcome.MALFORMED, reason, raw, **answer.usage)
    return Judgement.of(comparison, found, raw, **answer.usage)


def _failure(answer: _Answer, read_cut: bool) -> tuple[Outcome, str]:
    """Why an answer is not read; alpaca_eval gives an empty text where it had no success."""
    finish, message = answer.whole.get("finish_reason"), answer.whole.get("message")
    refusal = message.get("refusal") if isinstance(message, Mapping) else None
    if refusal:
        return Outcome.REFUSAL, str(refusal)
    if finish == "content_filter":
        return Outcome.CONTENT_FILTER, "the provider's content filter stopped the answer"
    if answer.whole.get("text", answer.completion) == "":
        return Outcome.API_ERROR, "alpaca_eval got no answer and gave up"
    if finish == "length" and not read_cut:
        return Outcome.TRUNCATED, "the answer ended at the token limit"
    return Outcome.OK, ""


def _usage(price: Any) -> dict[str, float]:
    """What alpaca_eval takes a call to cost, in dollars, where it knows a price."""
    known = isinstance(price, (int, float)) and math.isfinite(price)
    return {"dollars": float(price)} if known else {}


def _texts(comparison: Comparison) -> tuple[str, ...]:
    return comparison.prompt, comparison.first, comparison.second
