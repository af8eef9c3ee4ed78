"""Two experiments side by side: where their verdicts agree, how far their effects are apart, and what differs in their
specs. Nothing is tested here: both may rest on the same items and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from selkit.report.tables import interval, signed, table, text

Row = Mapping[str, Any]

AGREEMENTS = ("same", "differ", "opposite", "first alone", "second alone")
"""What may be said of a verdict in both: the same word; another one; intervals on opposite sides of 0; or only one of
the experiments has it."""

_PLACE = ("pool", "budget", "recipe", "model", "benchmark", "arm")
_SHOWN = ("verdict", "effect", "ci_low", "ci_high", "p_holm", "runs", "control_runs", "items")
_MISSING = "(not there)"


def compare(first: Row, second: Row) -> dict[str, Any]:
    """The comparison of two documents of report.json, as plain data.

    Returns:
        ``experiments``: name and selkit's version of both. ``verdicts``: every place of either with what ``first`` and
        ``second`` say (None where it is not there), ``agreement`` (see :data:`AGREEMENTS`) and ``difference``, the
        second effect less the first in points of 100. ``counts`` of the agreements. ``spec``: every setting that
        differs, with both values.
    """
    rows = list(_verdicts(first, second))
    counts = Counter(row["agreement"] for row in rows)
    return {
        "schema_version": 1,
        "experiments": [{"name": one["name"], "selkit": one["selkit"]} for one in (first, second)],
        "counts": {name: counts[name] for name in AGREEMENTS},
        "verdicts": rows,
        "spec": list(_differences(_design(first), _design(second))),
    }


def comparison_table(compared: Row) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text of the verdicts side by side."""
    names = [one["name"] for one in compared["experiments"]]
    if names[0] == names[1]:
        names = ["first", "second"]
    rows = compared["verdicts"]
    place = [name for name in _PLACE if name in ("pool", "budget", "benchmark", "arm") or _several(rows, name)]
    headings = ["on" if name == "benchmark" else name for name in place]
    sides = [heading for name in names for heading in (name, f"effect of {name}")]
    lines = [
        [
            *(text(row[name]) for name in place),
            *_side(row["first"]),
            *_side(row["second"]),
            signed(row["difference"]),
            row["agreement"],
        ]
        for row in rows
    ]
    return [*headings, *sides, "difference", "agreement"], lines


def comparison_markdown(compared: Row) -> str:
    """The comparison for people."""
    first, second = (f"{one['name']} (selkit {one['selkit']})" for one in compared["experiments"])
    counts = ", ".join(f"{count} {name}" for name, count in compared["counts"].items() if count) or "none in either"
    parts = [
        f"# {first} and {second}",
        f"Verdicts: {counts}.",
        table(*comparison_table(compared)) if compared["verdicts"] else "",
        "Effects are differences from the control in points of 100 with their unadjusted 95% intervals; 'difference' "
        "is the second less the first. It has no interval: the two experiments may share items and rows.",
        "## What differs in their specs",
        table(["setting", first, second], _settings(compared)) if compared["spec"] else "Nothing.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _settings(compared: Row) -> list[list[str]]:
    return [[row["setting"], _shown(row["first"]), _shown(row["second"])] for row in compared["spec"]]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _verdicts(first: Row, second: Row) -> Iterator[dict[str, Any]]:
    one, other = (_by_place(document) for document in (first, second))
    for place in dict.fromkeys([*one, *other]):
        mine, theirs = one.get(place), other.get(place)
        difference = None
        if mine and theirs and mine["effect"] is not None and theirs["effect"] is not None:
            difference = theirs["effect"] - mine["effect"]
        yield {
            **dict(zip(_PLACE, place, strict=True)),
            "first": _part(mine),
            "second": _part(theirs),
            "difference": difference,
            "agreement": _agreement(mine, theirs),
        }


def _by_place(document: Row) -> dict[tuple[Any, ...], Row]:
    """The verdicts by their place; one recipe or base model alone needs no name, so that names need not agree."""
    rows = document["verdicts"]
    told = {name for name in _PLACE if name not in ("recipe", "model") or _several(rows, name)}
    return {tuple(row.get(name) if name in told else None for name in _PLACE): row for row in rows}


def _several(rows: Any, name: str) -> bool:
    return len({row.get(name) for row in rows}) > 1


def _part(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in _SHOWN}


def _agreement(mine: Row | None, theirs: Row | None) -> str:
    if mine is None or theirs is None:
        return "second alone" if mine is None else "first alone"
    if _sign(mine) * _sign(theirs) < 0:
        return "opposite"
    return "same" if mine["verdict"] == theirs["verdict"] else "differ"


def _sign(row: Row) -> int:
    """1 or -1 where the interval lies on one side of 0, else 0."""
    if row["ci_low"] is None or row["ci_high"] is None:
        return 0
    return int(row["ci_low"] > 0) - int(row["ci_high"] < 0)


def _side(part: Row | None) -> list[str]:
    if part is None:
        return ["", ""]
    bounds = interval(part["ci_low"], part["ci_high"])
    return [part["verdict"], f"{signed(part['effect'])}{f' ({bounds})' if bounds else ''}"]


def _design(document: Row) -> dict[str, Any]:
    """Spec, recipes, rules and version, flat: the setting's path and its value. Names and notes do not count."""
    spec = {name: value for name, value in document["spec"].items() if name not in ("name", "note")}
    rules = {name: document["rules"].get(name) for name in ("alpha", "margins", "weights")}
    recipes = document.get("recipes") or [document["recipe"]]
    parts = {"selkit": document["selkit"], **spec, "rules": rules, "recipes": {one["name"]: one for one in recipes}}
    return dict(_flat("", parts))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in value):
        for place, inner in enumerate(value):
            name = inner.get("as") or inner.get("name") or inner.get("source") if isinstance(inner, Mapping) else None
            yield from _flat(f"{path}[{name if isinstance(name, str) else place}]", inner)
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _differences(first: Row, second: Row) -> Iterator[dict[str, Any]]:
    for setting in dict.fromkeys([*first, *second]):
        mine, theirs = first.get(setting, _MISSING), second.get(setting, _MISSING)
        if mine != theirs:
            yield {"setting": setting, "first": mine, "second": theirs}
