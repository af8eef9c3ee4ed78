"""Keys: read from the environment, used, and never shown."""

from __future__ import annotations

import logging
import os
from urllib.parse import quote

from selkit.api import DataError
from selkit.store import redact_text
from selkit.store.secret import REDACTED

_SHORTEST = 8
_LONG = 20


_TALKATIVE = ("openai", "openai._base_client", "httpx2", "httpcore2", "aiohttp.client", "asyncio", "tenacity")
"""Loggers of the libraries that a key is handed to. What they say at their level of debugging can hold what a server
sent, and a server can send the key back."""


class Secret:
    """A key that does not show itself: neither printed, nor formatted, nor pickled.

    Args:
        value: The key; may be empty.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def from_environment(cls, variable: str) -> Secret:
        """The key in an environment variable; empty where there is none."""
        return cls(os.environ.get(variable, "").strip() if variable else "")

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({REDACTED if self._value else ''})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled: other processes read it from the environment")

    def reveal(self) -> str:
        """The key itself, for the one library that sends it."""
        return self._value

    def check(self, variable: str) -> None:
        """Refuses what cannot be sent as a key, without showing it. Raises DataError."""
        if not all("!" <= letter <= "~" for letter in self._value):
            raise DataError(f"the key in ${variable} holds blanks or other characters that no key has: set it again")

    def hide_in_logs(self) -> None:
        """Takes the key out of what the libraries log from now on, in this process."""
        if len(self._value) >= _SHORTEST:
            for name in _TALKATIVE:
                _hide(logging.getLogger(name), self)

    def scrub(self, text: str) -> str:
        """``text`` without the key. Stand-ins for a key ('EMPTY', 'not-needed') may stand in ordinary text and stay."""
        return self._without(text) if self._telling else text

    def scrub_message(self, text: str) -> str:
        """A message of a server or a library without this key, nor any other that the store knows as a secret."""
        return redact_text(self._without(text) if len(self._value) >= _SHORTEST else text)

    def _without(self, text: str) -> str:
        for form in (self._value, quote(self._value, safe="")):
            text = text.replace(form, REDACTED)
        return text

    @property
    def _telling(self) -> bool:
        value = self._value
        return len(value) >= _LONG or (len(value) >= _SHORTEST and any(letter.isdigit() for letter in value))


class _Hiding(logging.Filter):
    """Takes keys out of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, Secret] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        shown = said
        for secret in self.secrets.values():
            shown = secret.scrub_message(shown)
        if shown != said:
            record.msg, record.args = shown, ()
        return True


def _hide(logger: logging.Logger, secret: Secret) -> None:
    hiding = next((each for each in logger.filters if isinstance(each, _Hiding)), None)
    if hiding is None:
        hiding = _Hiding()
        logger.addFilter(hiding)
    hiding.secrets[secret.reveal()] = secret
