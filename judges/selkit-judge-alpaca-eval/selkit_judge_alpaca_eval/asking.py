"""How an annotator is asked when selkit sends the requests: its ``completions_kwargs`` in selkit's words.

Defaults are those of alpaca_eval's ``openai_completions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selkit.api import Decoding
from selkit_judge_alpaca_eval.configuration import Annotator, Configuration, names
from selkit_judge_alpaca_eval.template import is_conversation

DECODER = "openai_completions"
"""The only one of alpaca_eval's ways of asking that speaks the protocol of selkit's endpoints."""

_SELKITS_OWN = {
    "batch_size", "client_config_path", "is_chat", "is_skip_multi_tokens_to_avoid", "is_strip", "model_name",
    "n_retries", "num_procs", "price_per_token", "requires_chatml", "sleep_time", "timeout",
}  # fmt: skip
"""Settings of alpaca_eval's client that selkit's has in another place, or that the prompt settles."""

_ALPACA_EVALS_OWN = {
    "extra_headers", "openai_api_keys", "openai_organization_ids", "tokens_to_avoid", "tokens_to_favor",
}  # fmt: skip
"""Settings that only alpaca_eval's client has."""

_ADDRESS = ("base_url", "max_retries", "timeout")


@dataclass(frozen=True)
class Asking:
    """How a judge is asked.

    Attributes:
        endpoint: Who is asked, as the configuration has it.
        decoding: How answers are written.
        logprobs: Alternatives per token.
        fields: Further fields of the request, e.g. tools.
    """

    endpoint: str
    decoding: Decoding
    logprobs: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)


def obstacle(configuration: Configuration) -> str:
    """Why selkit cannot send the requests of a configuration; empty where it can."""
    if len(configuration.annotators) > 1:
        return f"it is a pool of {len(configuration.annotators)} annotators ({names(configuration.annotators)})"
    annotator = configuration.annotators[0]
    settings = annotator.settings
    if annotator.decoder != DECODER:
        return f"it asks through {annotator.decoder}"
    if not is_conversation(annotator.template):
        return "its prompt is not a conversation in ChatML"
    if own := sorted(name for name in _ALPACA_EVALS_OWN if settings.get(name)):
        return f"it sets {', '.join(own)}"
    if own := sorted(set(settings.get("client_kwargs") or {}) - set(_ADDRESS)):
        return f"it sets {', '.join(own)} of alpaca_eval's client"
    if not isinstance(settings.get("max_tokens", 1), int) or not isinstance(settings.get("model_name"), str):
        return "it names no model_name, or a max_tokens that is not one number"
    return ""


def asking_of(annotator: Annotator) -> Asking:
    """How an annotator without an :func:`obstacle` is asked."""
    settings = dict(annotator.settings)
    known = {name: settings.pop(name, None) for name in ("logprobs", "top_logprobs", "extra_body", "client_kwargs")}
    address = (known["client_kwargs"] or {}).get("base_url") or settings.pop("openai_api_base", None)
    temperature, top_p = settings.pop("temperature", 0.7), settings.pop("top_p", 1.0)
    decoding = Decoding(
        settings.pop("max_tokens", 2048),
        temperature=1.0 if temperature is None else float(temperature),
        top_p=1.0 if top_p is None else float(top_p),
    )
    model = settings["model_name"]
    skipped = _SELKITS_OWN | _ALPACA_EVALS_OWN | {"openai_api_base"}
    fields = {name: value for name, value in settings.items() if name not in skipped and value is not None}
    wanted = int(known["top_logprobs"] or 0) if known["logprobs"] else 0
    return Asking(
        f"{address.rstrip('/')}#{model}" if address else f"openai:{model}",
        decoding,
        wanted,
        {**fields, **(known["extra_body"] or {})},
    )
