"""Reads type annotations: what they are made of, and how a person would say it."""

from __future__ import annotations

import collections.abc
import enum
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from selkit.api import Component
from selkit.plugins.kinds import noun

_SEQUENCES = (tuple, list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Set)
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    dict: "a mapping",
    collections.abc.Mapping: "a mapping",
    type(None): "none",
    Any: "any value",
}


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, ``int | None`` giving int and NoneType; aliases and Annotated are opened."""
    while hasattr(annotation, "__value__"):  # an alias by a type statement
        annotation = annotation.__value__
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return tuple(member for part in get_args(annotation) for member in members(part))
    return (annotation,)


def optional(annotation: Any) -> bool:
    """Whether None is among the alternatives."""
    return type(None) in members(annotation)


def choices(annotation: Any) -> tuple[str, ...]:
    """The values of the Literal and Enum alternatives as text, in order."""
    found: list[str] = []
    for member in members(annotation):
        if get_origin(member) is Literal:
            found += [str(value) for value in get_args(member)]
        elif isinstance(member, type) and issubclass(member, enum.Enum):
            found += [str(item.value) for item in member]
    return tuple(found)


def component_class(annotation: Any) -> type[Component] | None:
    """The component class among the alternatives, or None."""
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, Component):
            return member
    return None


def item_annotation(annotation: Any) -> Any | None:
    """The type of the items where one alternative is a list, tuple, set or the like; None where none is."""
    for member in members(annotation):
        if (get_origin(member) or member) in _SEQUENCES:
            arguments = [argument for argument in get_args(member) if argument is not Ellipsis]
            return arguments[0] if arguments else Any
    return None


def describe(annotation: Any) -> str:
    """The annotation in words: ``int | None`` is 'a whole number or none'."""
    named = choices(annotation)
    words = [f"one of {', '.join(repr(name) for name in named)}"] if named else []
    return " or ".join([*words, *filter(None, map(_word, members(annotation)))])


def _word(member: Any) -> str:
    if get_origin(member) is Literal or (isinstance(member, type) and issubclass(member, enum.Enum)):
        return ""
    item = item_annotation(member)
    if item is not None:
        return f"a list, each {describe(item)}"
    if isinstance(member, type) and issubclass(member, Component):
        return f"the name of a {noun(member)}"
    plain = get_origin(member) or member
    return _WORDS.get(plain, getattr(plain, "__name__", str(plain)))
