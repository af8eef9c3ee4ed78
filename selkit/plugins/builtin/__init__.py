"""The components that come with selkit, by kind and name; each is imported when somebody asks for it."""

from __future__ import annotations

_HERE = "selkit.plugins.builtin"

BUILTINS: dict[str, dict[str, str]] = {
    "selector": {
        "random": f"{_HERE}.random:Random",
        "random-low-overlap": f"{_HERE}.random:RandomLowOverlap",
        "strict-random": f"{_HERE}.controls:StrictRandom",
        "length-matched-random": f"{_HERE}.controls:LengthMatchedRandom",
        "full": f"{_HERE}.given:Full",
        "longest": f"{_HERE}.length:Longest",
        "shortest": f"{_HERE}.length:Shortest",
        "subset": f"{_HERE}.given:Subset",
        "column": f"{_HERE}.given:Column",
        "oracle": f"{_HERE}.given:Oracle",
    },
    "judge": {
        "reference": f"{_HERE}.reference:Reference",
    },
    "benchmark": {},
}
"""Kind -> name -> 'module:class'."""
