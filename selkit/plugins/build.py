"""Builds a component from a name and parameters, every value checked against its type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from selkit.api import Component, PluginFailed, UsageError
from selkit.console import get_console
from selkit.plugins.annotations import choices, component_class, item_annotation, members, optional
from selkit.plugins.kinds import kind_of, noun
from selkit.plugins.parameters import Parameter, parameters_of
from selkit.plugins.suggest import did_you_mean

Find = Callable[[str, str], type[Component]]
"""Finds the class of a component by kind and name."""

_NONE = {"none", "null"}


@dataclass(frozen=True)
class Builder:
    """Builds components; ``find`` looks up those that are parameters of others."""

    find: Find

    def build(self, cls: type[Component], kind: str, parameters: Mapping[str, Any]) -> Component:
        """An instance of ``cls`` with these parameters.

        Raises:
            UsageError: A parameter is unknown, missing, or of the wrong type or choice.
        """
        known = parameters_of(cls)
        owner = f"{kind} '{cls.name}'"
        _refuse_unknown(parameters, known, owner)
        _refuse_missing(parameters, known, owner)
        _note_deprecated(parameters, cls, owner)
        values = {name: self._value(known[name], value, owner) for name, value in parameters.items()}
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{owner} does not accept these parameters: {error}") from error

    def _value(self, parameter: Parameter, value: Any, owner: str) -> Any:
        annotation = parameter.annotation
        if component_class(annotation) is not None:
            return self._component(parameter, annotation, value, owner)
        item = item_annotation(annotation)
        if item is not None and component_class(item) is not None:
            return self._components(parameter, item, value, owner)
        return convert(parameter, value, owner)

    def _components(self, parameter: Parameter, item: Any, value: Any, owner: str) -> tuple[Any, ...] | None:
        """Several components as the value of a parameter, from 'a,b' or a list of names and mappings."""
        if optional(parameter.annotation) and (value is None or (isinstance(value, str) and value.lower() in _NONE)):
            return None
        parts = split(value) if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            raise _wrong(parameter, value, owner)
        return tuple(self._component(parameter, item, part, owner) for part in parts)

    def _component(self, parameter: Parameter, annotation: Any, value: Any, owner: str) -> Any:
        """A component as the value of a parameter: from its name, from a mapping with ``name``, or as it is."""
        cls = component_class(annotation)
        assert cls is not None  # the caller has looked
        if value is None or isinstance(value, str):
            if optional(annotation) and (value is None or value.lower() in _NONE):
                return None
            if str in members(annotation):
                return value
        place = f"parameter '{parameter.name}' of {owner}"
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, Mapping):
            value = self._nested(parameter, cls, value, place)
        if not isinstance(value, cls):
            given = (
                f"and '{value.name}' is a {noun(type(value))}" if isinstance(value, Component) else f"not {value!r:.80}"
            )
            raise UsageError(f"{place} takes a {noun(cls)}, {given}")
        return value

    def _nested(self, parameter: Parameter, cls: type[Component], value: Mapping[str, Any], place: str) -> Component:
        given = dict(value)
        name = given.pop("name", None)
        if name is None and isinstance(parameter.default, Component):
            default = parameter.default
            inherited = {field.name: getattr(default, field.name) for field in fields(default)}  # type: ignore[arg-type]
            return self.build(type(default), kind_of(type(default)), {**inherited, **given})
        if not isinstance(name, str):
            raise UsageError(f"{place} names no {noun(cls)}: add -p {parameter.name}=NAME, or the key 'name' in YAML")
        kind = "selector" if cls is Component else kind_of(cls)
        return self.build(self.find(kind, name), kind, given)


def convert(parameter: Parameter, value: Any, owner: str) -> Any:
    """``value`` as the parameter's type; text from the command line is read as that type.

    Lists are written 'a,b'; where None is allowed, 'none' and 'null' mean it. Where several types are allowed, text is
    text only if it is nothing else.

    Raises:
        UsageError: The value is of the wrong type or not among the choices.
        PluginFailed: The parameter's own type is one that cannot be checked.
    """
    annotation = parameter.annotation
    if isinstance(value, str) and value not in choices(annotation):
        if optional(annotation) and value.lower() in _NONE:
            return None
        if item_annotation(annotation) is not None and str not in members(annotation):
            value = split(value)
    if _is_wrong_number(value, annotation):
        raise _wrong(parameter, value, owner)
    return _validated(parameter, value, owner)


def split(text: str) -> list[str]:
    """'a, b' as ['a', 'b']; an empty text has no items."""
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _validated(parameter: Parameter, value: Any, owner: str) -> Any:
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    alternatives = members(parameter.annotation)
    if isinstance(value, str) and str in alternatives and not choices(parameter.annotation):
        for alternative in (a for a in alternatives if a not in (str, type(None), Any)):
            try:
                return _finite(TypeAdapter(alternative).validate_python(value))
            except (ValidationError, PydanticUserError, ValueError):
                continue
    try:
        return _finite(TypeAdapter(parameter.annotation).validate_python(value))
    except ValidationError as error:
        raise _wrong(parameter, value, owner, _constraint(error)) from error
    except ValueError as error:
        raise _wrong(parameter, value, owner, str(error)) from error
    except PydanticUserError as error:
        raise PluginFailed(
            f"parameter '{parameter.name}' of {owner} has a type that values cannot be checked against "
            f"({parameter.type}): its author should use plain types, Literal, Path or components"
        ) from error


def _is_wrong_number(value: Any, annotation: Any) -> bool:
    """Whether a truth value stands where a number belongs; pydantic would read it as 0 or 1."""
    return (
        isinstance(value, bool)
        and bool not in members(annotation)
        and {int, float} & set(_hashable(annotation)) != set()
    )


def _hashable(annotation: Any) -> list[Any]:
    return [member for member in members(annotation) if isinstance(member, type)]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the number must be finite")
    return value


def _constraint(error: Any) -> str:
    """pydantic's word on a value of the right type that is out of bounds; empty for a wrong type."""
    first = error.errors(include_url=False)[0]
    bounds = ("greater_than", "less_than", "multiple_of", "too_short", "too_long", "string_pattern", "value_error")
    return first["msg"].removeprefix("Value error, ") if any(word in first["type"] for word in bounds) else ""


def _wrong(parameter: Parameter, value: Any, owner: str, why: str = "") -> UsageError:
    shown = ",".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value
    hint = did_you_mean(shown, parameter.choices) if isinstance(shown, str) else ""
    why = f" ({why[:1].lower()}{why[1:]})" if why else ""
    return UsageError(
        f"parameter '{parameter.name}' of {owner} must be {parameter.type}{why}, not {shown!r:.80}.{hint}"
    )


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Parameter], owner: str) -> None:
    for name in given:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"{owner} has no parameter '{name}': {has}.{did_you_mean(str(name), known)}")


def _note_deprecated(given: Mapping[str, Any], cls: type[Component], owner: str) -> None:
    """Says of each given parameter that is going until when it works, once in a process."""
    for name in sorted(set(given) & set(cls.deprecated)):
        package = cls.__module__.partition(".")[0]
        _note_once(f"parameter '{name}' of {owner} {cls.deprecated[name].sentence(package)}")


@cache
def _note_once(sentence: str) -> None:
    get_console().note(sentence)


def _refuse_missing(given: Mapping[str, Any], known: Mapping[str, Parameter], owner: str) -> None:
    missing = [parameter for parameter in known.values() if parameter.required and parameter.name not in given]
    if missing:
        first = missing[0]
        told = f" ({first.help.rstrip('.')})" if first.help else ""
        raise UsageError(f"{owner} needs its parameter '{first.name}'{told}: give it with -p {first.name}=VALUE")


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """``['a=1', 'scorer=ifd', 'scorer.ratio=loss']`` as a nested mapping of texts.

    A key with parameters of its own becomes a mapping whose ``name`` is its own value, as in YAML.

    Raises:
        UsageError: There is no '=' or no key, or a key is given twice.
    """
    flat: dict[tuple[str, ...], str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise UsageError(f"'{assignment}' is not of the form KEY=VALUE, e.g. -p unit=words or -p scorer.ratio=loss")
        if path in flat:
            raise UsageError(
                f"parameter '{'.'.join(path)}' is given twice, as '{flat[path]}' and as '{value}': keep one"
            )
        flat[path] = value
    return _nest(flat)


def _nest(flat: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key in dict.fromkeys(path[0] for path in flat):
        below = {path[1:]: value for path, value in flat.items() if path[0] == key and len(path) > 1}
        if not below:
            nested[key] = flat[(key,)]
            continue
        if (key,) in flat:
            if ("name",) in below:
                raise UsageError(f"parameter '{key}' is given twice, as '{key}' and as '{key}.name': keep one")
            below[("name",)] = flat[(key,)]
        nested[key] = _nest(below)
    return nested
