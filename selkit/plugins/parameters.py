"""A component's parameters, read from its dataclass fields and its docstring."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, get_type_hints

from selkit.api import Component
from selkit.plugins.annotations import choices, describe


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component.

    Args:
        name: The field's name: ``-p name=value``, a key in YAML.
        annotation: Its type.
        required: Whether it has no default.
        default: The default; None where it is required.
        help: What the class's docstring says of it.
    """

    name: str
    annotation: Any
    required: bool
    default: Any = None
    help: str = ""

    @property
    def type(self) -> str:
        """The type in words."""
        return describe(self.annotation)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it can take, where they can be listed."""
        return choices(self.annotation)


def parameters_of(cls: type[Component]) -> dict[str, Parameter]:
    """The parameters of a component class by name, in the order of its fields."""
    annotations = annotations_of(cls)
    documented = documented_arguments(cls)
    return {
        field.name: Parameter(
            name=field.name,
            annotation=annotations[field.name],
            required=field.default is MISSING and field.default_factory is MISSING,
            default=_default(field),
            help=_help(cls, field.name, documented.get(field.name, "")),
        )
        for field in fields(cls)  # type: ignore[arg-type]
        if field.init
    }


def annotations_of(cls: type[Component]) -> dict[str, Any]:
    """The types of the class's attributes, with names in text resolved.

    Raises:
        NameError: A type is not defined at run time.
    """
    return get_type_hints(cls, include_extras=True)


def summary(cls: type[Component]) -> str:
    """The first paragraph of the class's documentation in one line; empty where it has none of its own."""
    text = inspect.cleandoc(cls.__doc__ or "")
    if text.startswith(f"{cls.__name__}("):  # what dataclass writes where the author wrote nothing
        return ""
    return " ".join(text.partition("\n\n")[0].split())


def documented_arguments(cls: type[Component]) -> dict[str, str]:
    """What the ``Args:`` sections of the class and its bases say, by parameter; the class's own word counts first."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for name, text in _arguments_in(inspect.cleandoc(base.__doc__ or "")).items():
            found.setdefault(name, text)
    return found


def nested_components(component: Component) -> list[Component]:
    """The components that are parameters of this one, in the order of its fields."""
    found: list[Component] = []
    for field in fields(component):  # type: ignore[arg-type]
        value = getattr(component, field.name)
        found += [
            part for part in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(part, Component)
        ]
    return found


def _arguments_in(text: str) -> dict[str, str]:
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", text, re.MULTILINE)
    found: dict[str, str] = {}
    name, indent = "", 0
    for line in inspect.cleandoc("\n" + section[1]).splitlines() if section else ():
        entry = re.match(r"(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if entry:
            name = entry[1]
            found[name] = entry[2]
        elif name and line.strip() and line[indent:].startswith(" "):
            found[name] = f"{found[name]} {line.strip()}"
    return found


def _help(cls: type[Component], name: str, text: str) -> str:
    """What the documentation says of a parameter, and that it is going where it is."""
    if name not in cls.deprecated:
        return text
    return f"{text} It {cls.deprecated[name].sentence(cls.__module__.partition('.')[0])}.".strip()


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return None if field.default_factory is MISSING else field.default_factory()
