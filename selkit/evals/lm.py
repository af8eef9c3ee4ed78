"""selkit's engine as an lm-eval model, so that benchmarks see the very template that training used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from selkit.api import Decoding, Example, LanguageModel, PromptTemplate, UsageError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM


def as_lm(model: Callable[[], LanguageModel], template: PromptTemplate, max_new_tokens: int | None) -> LM:
    """An lm-eval model over an engine; ``model`` is called when the first request comes.

    Args:
        model: Gives the engine.
        template: Puts every prompt into the form that the model was trained on.
        max_new_tokens: Limits answers below what the task asks for; None leaves the task's own limit.
    """
    from lm_eval.api.model import LM

    class EngineLM(LM):
        """Greedy generation through the engine."""

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """One answer per request, in order; requests with the same settings go in one batch."""
            answers: dict[int, str] = {}
            for decoding, positions in _by_decoding(requests, max_new_tokens).items():
                prompts = [template.prompt(Example(str(i), requests[i].args[0])) for i in positions]
                generated = model().generate(prompts, decoding)
                answers |= {i: one.text for i, (one, *_) in zip(positions, generated, strict=True)}
            return [answers[i] for i in range(len(requests))]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """Not served: the benchmarks at hand generate."""
            raise UsageError("this benchmark compares likelihoods, and `selkit run` serves generation tasks only")

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Not served, as :meth:`loglikelihood`."""
            raise UsageError("this benchmark compares likelihoods, and `selkit run` serves generation tasks only")

    return EngineLM()


def _by_decoding(requests: list[Any], limit: int | None) -> dict[Decoding, list[int]]:
    groups: dict[Decoding, list[int]] = {}
    for position, request in enumerate(requests):
        groups.setdefault(_decoding(request.args[1], limit), []).append(position)
    return groups


def _decoding(settings: dict[str, Any], limit: int | None) -> Decoding:
    until = settings.get("until") or []
    stop = (until,) if isinstance(until, str) else tuple(until)
    tokens = int(settings.get("max_gen_toks", 256))
    decoding = Decoding(max_new_tokens=tokens if limit is None else min(limit, tokens), stop=stop)
    if settings.get("do_sample"):
        decoding = replace(decoding, temperature=float(settings.get("temperature", 1.0)))
    return decoding
