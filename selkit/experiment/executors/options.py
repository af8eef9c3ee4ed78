"""The options of executors: what ``selkit run --executor NAME -x KEY=VALUE`` takes, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.api import UsageError
from selkit.plugins import did_you_mean


def parse_options(assignments: Sequence[str]) -> dict[str, Any]:
    """``['partition=gpu', 'cpus_per_task=4']`` as a mapping; values are read as in YAML.

    Raises:
        UsageError: There is no '=' or no key, or a key is given twice.
    """
    import yaml

    found: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals or not key:
            raise UsageError(f"'{assignment}' is not of the form KEY=VALUE, e.g. -x partition=gpu")
        if key in found:
            raise UsageError(f"the executor's option '{key}' is given twice: keep one")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            found[key] = value
    return found


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str], executor: str) -> None:
    """Raises UsageError where an option is none of ``known``, with the one that is meant or all there are."""
    for key in options:
        if key not in known:
            there = f" It has {', '.join(known)}." if known else " It has none."
            raise UsageError(f"The executor {executor} has no option '{key}'.{did_you_mean(key, known) or there}")


def number(options: Mapping[str, Any], key: str, default: float, least: float = 0) -> float:
    """A numeric option. Raises UsageError where it is none, or less than ``least``."""
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
        raise UsageError(f"the executor's option '{key}' is a number of at least {least:g}, not {value!r}")
    return value
