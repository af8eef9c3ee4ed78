"""What can go wrong with a call, what is tried again, and how long to wait."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any

from selkit.api import DataError, Outcome, SelkitError, WorkFailed

TRANSIENT = frozenset({408, 409, 425, 429})
"""HTTP status codes that, with all from 500 on, are worth another try."""

_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "billing_not_active")
_FILTERED = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation")
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|string_above_max_length|prompt is too long"
    r"|maximum (?:context|model|input) length|(?:context|model)(?:'s)? (?:window|(?:context )?(?:length|size))",
    re.IGNORECASE,
)
"""How OpenAI, vLLM, llama.cpp and others say that a prompt is longer than the model can read."""

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SHOWN = 300


class Fault(Exception):
    """A call that brought no answer. Its text holds no key.

    Args:
        reason: What happened, for people.
        outcome: What the reply is if this is the last word.
        transient: Whether another try may help.
        wait: Seconds that the server asks to wait, where it does.
        crowded: Whether the server says that it is asked too much.
        billed: Whether the call may have been paid for all the same.
        unsent: Whether there was nobody to send the call to.
        fatal: The error that ends the whole run, where no further call makes sense.
    """

    def __init__(
        self,
        reason: str,
        outcome: Outcome = Outcome.API_ERROR,
        *,
        transient: bool = False,
        wait: float | None = None,
        crowded: bool = False,
        billed: bool = False,
        unsent: bool = False,
        fatal: SelkitError | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome = outcome
        self.transient = transient
        self.wait = wait
        self.crowded = crowded
        self.billed = billed
        self.unsent = unsent
        self.fatal = fatal


def status_fault(status: int, headers: Mapping[str, str], body: Any, label: str) -> Fault:
    """The fault in an HTTP answer with an error status.

    Args:
        status: The HTTP status code.
        headers: Its headers, by names in small letters.
        body: The JSON in it, or its text; without keys.
        label: The endpoint, for people.
    """
    code, message = _said(body)
    reason = f"HTTP {status}{f' {code}' if code else ''}: {message}" if message else f"HTTP {status}"
    if status == 402 or any(word in code for word in _NO_MONEY):
        error: SelkitError = WorkFailed(
            f"{label} takes no more calls, since the account has no money left ({reason}): "
            "the answers so far are stored; top it up and run the same command again"
        )
        return Fault(reason, fatal=error)
    if status in (401, 403, 404):
        what, remedy = _refusal(status, f"{code} {message}")
        error = DataError(f"{label} {what} ({reason}): the answers so far are stored; {remedy}")
        return Fault(reason, fatal=error)
    if status in TRANSIENT or status >= 500:
        crowded = status in (429, 529)
        return Fault(reason, transient=True, wait=asked_wait(headers), crowded=crowded)
    if any(word in code.lower() for word in _FILTERED):
        return Fault(reason, Outcome.CONTENT_FILTER)
    if _TOO_LONG.search(f"{code} {message}"):
        return Fault(f"the prompt is too long for the model ({reason})", Outcome.TRUNCATED)
    return Fault(reason)


def _refusal(status: int, said: str) -> tuple[str, str]:
    """What a server refuses for good, and what to do about it."""
    if status != 404:
        return "refuses the key", "mend it and run again"
    if "model" in said.lower():
        return (
            "does not know the model, which may be misspelt or retired",
            "name another one, which is then asked everything anew, and run again",
        )
    return "does not know the model or the address", "mend it and run again"


def out_of_reach(fault: Fault, seconds: float, label: str) -> Fault:
    """The fault of a server that was never reached, after which the run ends."""
    error = DataError(
        f"{label}: {fault.reason} for {seconds:.0f} s, and was never reached: start it, or mend its address, and run "
        "the same command again"
    )
    return Fault(fault.reason, fatal=error)


def no_answer(reason: str) -> Fault:
    """The fault in a body that came with a good status and holds no answer of the model: a proxy's page, or half a
    body. What stood between may have passed, so it is tried again, and it is never kept as an answer."""
    return Fault(reason, transient=True, billed=True)


def asked_wait(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, ``retry-after`` (seconds or a date), or the first of the
    ``x-ratelimit-reset-*`` of a limit that is used up. None where it does not say."""
    try:
        if value := headers.get("retry-after-ms"):
            return max(0.0, float(value) / 1000)
        if value := headers.get("retry-after"):
            return _retry_after(value, time.time() if now is None else now)
    except ValueError:
        return None
    waits = [
        duration(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}", "0") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def duration(text: str) -> float | None:
    """Seconds in a duration as OpenAI writes it ('1s', '6m0s', '120ms') or in a bare number; None for other texts."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    match = _DURATION.fullmatch(text.strip())
    if not text.strip() or match is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000


def _retry_after(value: str, now: float) -> float | None:
    try:
        return max(0.0, float(value))
    except ValueError:
        moment = email.utils.parsedate_tz(value)
        return None if moment is None else max(0.0, email.utils.mktime_tz(moment) - now)


def _said(body: Any) -> tuple[str, str]:
    """The code and the message in an error body."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", " ".join(str(error or "").split())[:_SHOWN]
    code = error.get("code") or error.get("type") or ""
    message = error.get("message") or error.get("detail") or ""
    return str(code), " ".join(str(message).split())[:_SHOWN]
