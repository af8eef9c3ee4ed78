"""What every row of every format comes down to, and why a row cannot be used."""

from __future__ import annotations

from typing import Any, NamedTuple

from selkit.api.data import Turn


class Fields(NamedTuple):
    """The text of one row."""

    instruction: str
    input: str
    response: str
    history: tuple[Turn, ...] = ()


class Unusable(ValueError):
    """A valid row that cannot become an example; the text is the reason, the same words for every such row."""


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    (dict, "an object"),
    (bytes, "bytes"),
)


def kind_of(value: Any) -> str:
    """What people call the type of a JSON value, with its article."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: null, or the NaN that data frames write for it."""
    return value is None or (isinstance(value, float) and value != value)


def required_text(value: Any, what: str) -> str:
    """The text of a cell that must have one.

    Raises:
        Unusable: There is no value, it is no text, or it is nothing but white space.
    """
    if isinstance(value, str):
        if not value or value.isspace():
            raise Unusable(f"the {what} is empty")
        return value
    if is_missing(value):
        raise Unusable(f"no {what}")
    raise Unusable(f"the {what} is {kind_of(value)}, not text")


def optional_text(value: Any, what: str) -> str:
    """The text of a cell that may be empty; white space alone counts as empty. Raises Unusable for other types."""
    if isinstance(value, str):
        return "" if value.isspace() else value
    if is_missing(value):
        return ""
    raise Unusable(f"the {what} is {kind_of(value)}, not text")
