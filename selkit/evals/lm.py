"""selkit's engine as an lm-eval model, so that benchmarks see the very template that training used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from selkit.api import Decoding, Example, LanguageModel, PromptTemplate, UsageError

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

_DEFAULT_TOKENS = 256  # lm-eval's own, where a task names no limit


def as_lm(model: Callable[[], LanguageModel], template: PromptTemplate, max_new_tokens: int | None) -> Any:
    """An lm-eval model over an engine; ``model`` is called when the first request comes.

    Its attribute ``tokens`` counts the tokens that were written.

    Args:
        model: Gives the engine.
        template: Puts every prompt into the form that the model was trained on.
        max_new_tokens: Limits answers below what the task asks for; None leaves the task's own limit.
    """
    from lm_eval.api.model import LM

    class EngineLM(LM):  # type: ignore[misc]
        """Generation through the engine."""

        tokens = 0

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """One answer per request, in order; requests with the same settings go together, sorted by length."""
            answers: dict[int, str] = {}
            for decoding, positions in _by_decoding(requests, max_new_tokens).items():
                prompts = {i: template.prompt(Example(str(i), requests[i].args[0])) for i in positions}
                order = sorted(prompts, key=lambda i: len(prompts[i]))
                written = model().generate([prompts[i] for i in order], decoding)
                for i, (answer, *_) in zip(order, written, strict=True):
                    answers[i] = answer.text
                    self.tokens += answer.tokens
            return [answers[i] for i in range(len(requests))]

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """Not served: the benchmarks at hand generate."""
            raise UsageError("this benchmark compares likelihoods, and selkit serves tasks of generation only")

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Not served, as :meth:`loglikelihood`."""
            raise UsageError("this benchmark compares likelihoods, and selkit serves tasks of generation only")

    return EngineLM()


def _by_decoding(requests: list[Any], limit: int | None) -> dict[Decoding, list[int]]:
    groups: dict[Decoding, list[int]] = {}
    for position, request in enumerate(requests):
        groups.setdefault(decoding_of(request.args[1], limit), []).append(position)
    return groups


def decoding_of(settings: Mapping[str, Any], limit: int | None = None) -> Decoding:
    """lm-eval's generation settings as a decoding.

    Args:
        settings: The keyword arguments of a request: ``until``, ``max_gen_toks``, ``do_sample`` and so on.
        limit: Most tokens of an answer, where that is below what the task asks for.
    """
    until = settings.get("until") or ()
    stop = tuple(text for text in ((until,) if isinstance(until, str) else until) if text)
    tokens = int(settings.get("max_gen_toks") or _DEFAULT_TOKENS)
    tokens = tokens if limit is None else min(limit, tokens)
    if not settings.get("do_sample"):
        return Decoding(max_new_tokens=tokens, stop=stop)
    return Decoding(
        max_new_tokens=tokens,
        temperature=float(settings.get("temperature", 1.0)),
        top_p=float(settings.get("top_p", 1.0)),
        top_k=int(settings.get("top_k", 0)),
        stop=stop,
    )
