"""What a server's answer means. Pure functions over the stored bodies, so that another reading needs no new calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from selkit.api import ChatReply, Outcome

EMPTY = "the answer is empty"
"""How the reason begins where the model wrote nothing."""

CUT = "the answer ended at the token limit"
"""The reason where the model had more to say."""


def read_body(text: str) -> Mapping[str, Any] | None:
    """The JSON object in a body; None where it is not one."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def is_answer(body: Mapping[str, Any] | None) -> bool:
    """Whether a body holds an answer of the model, be it a refusal, and so is worth keeping."""
    return body is not None and _choice(body) is not None


def reply_of(body: Mapping[str, Any] | None) -> ChatReply:
    """The reply in a body, without dollars."""
    if body is None:
        return ChatReply("", Outcome.MALFORMED, "the server's answer is not valid JSON")
    usage = usage_of(body)
    choice = _choice(body)
    text, outcome, reason = "", Outcome.MALFORMED, "the server's answer holds no message"
    if choice is not None:
        text, outcome, reason = _content(choice["message"], choice.get("finish_reason"))
    return ChatReply(
        text,
        outcome,
        reason,
        usage,
        _logprobs(choice or {}),
        model=str(body.get("model") or ""),
        fingerprint=str(body.get("system_fingerprint") or ""),
    )


def usage_of(body: Mapping[str, Any]) -> dict[str, float]:
    """Tokens by 'input', 'output' and, where the server says so, 'cached_input', a part of the input."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return {}
    details = usage.get("prompt_tokens_details")
    counts = {
        "input": usage.get("prompt_tokens"),
        "output": usage.get("completion_tokens"),
        "cached_input": details.get("cached_tokens") if isinstance(details, dict) else None,
    }
    return {name: float(count) for name, count in counts.items() if isinstance(count, int) and _is_count(count)}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _choice(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return None
    if isinstance(first.get("text"), str):  # of the completions API
        first = {**first, "message": {"content": first["text"]}}
    return first if isinstance(first.get("message"), dict) else None


def _content(message: Mapping[str, Any], finish: Any) -> tuple[str, Outcome, str]:
    text = message.get("content") or _arguments(message) or message.get("content")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return "", Outcome.REFUSAL, refusal
    if finish == "content_filter":
        return "", Outcome.CONTENT_FILTER, "the server's content filter stopped the answer"
    if text is not None and not isinstance(text, str):
        return "", Outcome.MALFORMED, f"the answer is a {type(text).__name__}, not a text"
    if finish == "length":
        return text or "", Outcome.TRUNCATED, CUT
    if not text:
        return "", Outcome.MALFORMED, f"{EMPTY} (finish_reason {finish})"
    return text, Outcome.OK, ""


def _arguments(message: Mapping[str, Any]) -> str | None:
    """The arguments of the first function that the model calls, for requests with tools; None where it calls none."""
    calls = message.get("tool_calls")
    first = calls[0] if isinstance(calls, list) and calls else None
    function = first.get("function") if isinstance(first, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return arguments if isinstance(arguments, str) else None


def _logprobs(choice: Mapping[str, Any]) -> tuple[dict[str, float], ...]:
    """Log-probability by token, one mapping per position; empty where the server sent none.

    Of the completions API only the token that stands there; a first one, which nothing predicts, has an empty mapping.
    """
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict) and isinstance(logprobs.get("tokens"), list):
        values = logprobs.get("token_logprobs")
        known = values if isinstance(values, list) else []
        return tuple(_alternatives({"token": t, "logprob": v}) for t, v in zip(logprobs["tokens"], known, strict=False))
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    return tuple(_alternatives(position) for position in content if isinstance(position, dict))


def _alternatives(position: Mapping[str, Any]) -> dict[str, float]:
    """The chosen token, and the alternatives; of two entries with the same text the likelier stays."""
    top = position.get("top_logprobs")
    entries = [position, *(top if isinstance(top, list) else [])]
    found: dict[str, float] = {}
    for entry in entries:
        token, value = (entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else (None, None)
        if isinstance(token, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
            found[token] = max(float(value), found.get(token, float("-inf")))
    return found
