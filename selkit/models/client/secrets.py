"""Keys: read from the environment, used, and never shown."""

from __future__ import annotations

import os
from urllib.parse import quote

from selkit.store import redact_text
from selkit.store.secret import REDACTED


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

    def scrub(self, text: str) -> str:
        """``text`` without this key, nor any other that the store knows as a secret."""
        if self._value:
            for form in {self._value, quote(self._value, safe="")}:
                text = text.replace(form, REDACTED)
        return redact_text(text)
