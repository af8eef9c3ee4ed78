"""Recognises secrets, so that none is ever stored."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[secret]"
"""What stands in a manifest where a secret was."""

_SECRET_NAME = re.compile(
    r"(^|[_-])(api_?key|secret(_?key)?|access_?key|private_?key|passw(or)?d|credentials?|authorization"
    r"|(access|auth|api|hf|bearer|refresh|session)_?token)$"
)
_TOKEN_NAME = re.compile(r"(^|[_-])token$")
_LOOKS_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_.~+/=-]{16,}")
_SECRET_VARIABLE = re.compile(r"_(API_KEY|TOKEN|SECRET|PASSWORD|ACCESS_KEY)$")
_IN_URL = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)|(?<=[?&])(api[_-]?key|access_token|sig)=[^&\s]+", re.I)
_SHORTEST = 8  # shorter values ('EMPTY', 'none') are stand-ins for a key, and stand in ordinary text


def secret_reason(value: Any) -> str:
    """Why a JSON value holds a secret, naming where but not what; empty where it holds none."""
    secrets = _environment_secrets()
    for path, item in _texts(value, ""):
        if _named_secret(path.rpartition(".")[2], item):
            return f"{path!r} looks like a secret"
        for variable, secret in secrets.items():
            if secret in item:
                return f"the value of {path!r} holds the secret in ${variable}"
        if _IN_URL.search(item):
            return f"the address in {path!r} holds a login or a key"
    return ""


def redact(value: Any) -> Any:
    """A copy of a JSON value with :data:`REDACTED` in the place of every secret."""
    return _redact(value, "", tuple(_environment_secrets().values()))


def redact_text(text: str) -> str:
    """``text`` with :data:`REDACTED` for the values of secret environment variables, and logins and keys in URLs."""
    return _redact_text(text, tuple(_environment_secrets().values()))


def _environment_secrets() -> dict[str, str]:
    return {k: v for k in _secret_variables(tuple(os.environ)) if len(v := os.environ.get(k, "")) >= _SHORTEST}


@lru_cache(maxsize=8)  # every key asks
def _secret_variables(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if _SECRET_VARIABLE.search(name))


def _redact(value: Any, name: str, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {key: _redact(item, key, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact(item, name, secrets) for item in value]
    if not isinstance(value, str):
        return value
    return REDACTED if _named_secret(name, value) else _redact_text(value, secrets)


def _redact_text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _IN_URL.sub(REDACTED, text)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif isinstance(value, str):
        yield path, value


def _named_secret(name: str, value: str) -> bool:
    if not value:
        return False
    if _SECRET_NAME.search(name.lower()):
        return True
    # 'token' alone may be a word of a vocabulary, so its value decides
    return bool(_TOKEN_NAME.search(name.lower()) and _LOOKS_RANDOM.fullmatch(value))
