"""What changes a spec before it is checked: other files that it includes, and values set on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from selkit.api import UsageError
from selkit.experiment.spec.spec import Spec
from selkit.plugins import did_you_mean

_SPELLINGS = {"model": "models", "models": "model", "recipe": "recipes", "recipes": "recipe"}
"""Of a key and its plural the one that comes later counts alone."""

_SHORT = {
    "pools": "source",
    "models": "model",
    "selectors": "name",
    "testsets": "source",
    "benchmarks": "name",
    "recipe": "preset",
    "recipes": "preset",
}
"""The key that a text stands for where an entry is short."""


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with the values of ``above``: mappings are merged key by key, everything else is replaced."""
    found = {key: value for key, value in below.items() if _SPELLINGS.get(key) not in above}
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def with_overrides(raw: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """The spec after ``KEY.PATH=VALUE`` assignments, in their order; values are YAML.

    A number in the path is a place in a list (from 0). An entry given as a text is taken for its mapping first:
    ``recipe.max_steps=20`` works on ``recipe: quickstart``.

    Raises:
        UsageError: An assignment is not KEY=VALUE, its value is not YAML, or there is no such place.
    """
    found = dict(raw)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise UsageError(f"--set {assignment!r} is not KEY.PATH=VALUE, such as runs.random=10 or budgets=[100,200]")
        keys = path.split(".")
        known = [*Spec.model_fields]
        if keys[0] not in known:
            raise UsageError(f"--set {path}: a spec has no key {keys[0]!r}.{did_you_mean(keys[0], known)}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {path}: {text!r} is no YAML value ({' '.join(str(error).split())})") from error
        found = {key: one for key, one in found.items() if key != _SPELLINGS.get(keys[0])}
        found[keys[0]] = _set(found.get(keys[0]), keys[1:], value, keys[:1])
    return found


def _set(now: Any, keys: Sequence[str], value: Any, path: Sequence[str]) -> Any:
    """``now``, which stands at ``path``, with the value at ``keys`` below it."""
    if not keys:
        return value
    key, here = keys[0], ".".join(path)
    if key.isdigit() and not isinstance(now, Mapping):
        entries = list(now) if isinstance(now, (list, tuple)) else [now]
        if now is None or int(key) >= len(entries):
            raise UsageError(f"--set {here}.{key}: {here} has {0 if now is None else len(entries)} entries, from 0")
        entries[int(key)] = _set(entries[int(key)], keys[1:], value, [*path, key])
        return entries
    if isinstance(now, str) and (short := _short(path)):
        now = {short: now}
    if not isinstance(now, Mapping | None):
        raise UsageError(f"--set {here}.{key}: {here} is {now!r}, which has no keys: set {here} as a whole")
    return {**(now or {}), key: _set((now or {}).get(key), keys[1:], value, [*path, key])}


def _short(path: Sequence[str]) -> str | None:
    """The key that a text at ``path`` stands for."""
    is_judge = path[:2] == ["search", "judge"] or (path[0] == "testsets" and path[2:3] == ["judges"])
    return "name" if is_judge else _SHORT.get(path[0])
