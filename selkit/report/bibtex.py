"""The bibliography of an experiment: what its components, test sets, recipes and statistics go back to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from selkit.plugins.references import RECIPES, TESTSETS, WORKS

STATISTICS = ("holm1979simple", "satterthwaite1946approximate")
"""Works behind every verdict."""

_FLIPS = ("cochran1954combination", "welch1951comparison", "higgins2002quantifying")
_POOLED = ("hartung2001tests", "paule1982consensus")
_GRID = ("flips", "pooled", "agreement", "recipe_agreement", "signal")

_ENTRY = re.compile(r"@(\w+)\s*\{\s*([^\s,{}]+)\s*,")


class Work(NamedTuple):
    """A BibTeX entry: its key, what in the experiment goes back to it, and its text."""

    key: str
    of: str
    text: str


def entries(text: str) -> list[tuple[str, str]]:
    """Key and text of every entry of a BibTeX text; what is no whole entry is left out."""
    found = []
    for start in _ENTRY.finditer(text):
        depth = 0
        for place in range(text.index("{", start.start()), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                found.append((start[2], text[start.start() : place + 1]))
                break
    return found


def works(document: Mapping[str, Any]) -> list[Work]:
    """Every work of the experiment once, by its key; two texts under one key keep both, the second as KEY-2."""
    kept: dict[str, Work] = {}
    for work in _all(document):
        key, known = work.key, kept.get(work.key)
        if known is not None and known.text != work.text:
            key = f"{work.key}-2"
            work = Work(key, work.of, work.text.replace(work.key, key, 1))
        kept.setdefault(key, work)
    return [kept[key] for key in sorted(kept)]


def bibliography(document: Mapping[str, Any]) -> str:
    """The BibTeX file, each entry under a line that says what it stands for."""
    return "\n\n".join(f"% {work.of}\n{work.text}" for work in works(document)) + "\n"


def _all(document: Mapping[str, Any]) -> Iterator[Work]:
    yield Work("selkit", "the evaluation", _selkit(str(document["selkit"])))
    for row in document.get("citations", ()):
        yield from (Work(key, row["of"], text) for key, text in entries(row["bibtex"]))
    spec = document["spec"]
    for testset in spec["testsets"]:
        name = str(testset["source"]).rpartition("/")[2].removesuffix(".jsonl")
        yield from _known(TESTSETS.get(name), f"test set {name}")
    for recipe in recipe_names(document):
        key = next((work for start, work in RECIPES.items() if re.match(rf"{start}\b", recipe)), None)
        yield from _known(key, f"recipe {recipe}")
    if any(row["lc_win_rate"] is not None for row in document["win_rates"]):
        yield from _known("dubois2024length", "length-controlled win rates")
    if spec["benchmarks"]:
        yield from _known("gao2023framework", "benchmarks")
    for key, of in _statistics(document):
        yield from _known(key, of)


def _statistics(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The works behind the statistics that the document holds, with what goes back to each."""
    parts = [document, document.get("search") or {}]
    rows = [row for part in parts for name in ("verdicts", "comparisons") for row in part.get(name, ())]
    grid = {name: [row for part in parts for row in part.get("grid", {}).get(name, ())] for name in _GRID}
    if rows:
        yield from ((key, "verdicts") for key in STATISTICS)
    if any(row.get("p_bh") is not None for row in rows):
        yield "benjamini1995controlling", "p values of exploratory verdicts"
    if any(row["verdict"] in ("EQUIVALENT", "NOT_WORSE") for row in rows):
        yield "schuirmann1987comparison", "verdicts of equivalence"
    if any(row["q"] is not None for row in grid["flips"]):
        yield from ((key, "flips over recipes") for key in _FLIPS)
    if grid["pooled"]:
        yield from ((key, "means over pools and budgets") for key in _POOLED)
    if any(row["predicted_low"] is not None for row in grid["pooled"]):
        yield "higgins2009reevaluation", "prediction for a new pool or budget"
    if grid["agreement"] or grid["recipe_agreement"]:
        yield "kendall1938measure", "agreement"
    if grid["signal"]:
        yield "heineman2025signal", "signal to noise"


def recipe_names(document: Mapping[str, Any]) -> list[str]:
    """The names of the recipes, in their order."""
    recipes: Iterable[Mapping[str, Any]] = document.get("recipes") or [document["recipe"]]
    return [str(recipe["name"]) for recipe in recipes]


def _known(key: str | None, of: str) -> Iterator[Work]:
    if key is not None:
        yield Work(key, of, WORKS[key])


def _selkit(version: str) -> str:
    return "\n".join(
        [
            "@misc{selkit,",  # not @software, which the style files of plain BibTeX do not know
            "  author = {{The selkit authors}},",
            "  title = {selkit: Does a way of selecting instruction-tuning data beat random choice?},",
            f"  version = {{{version}}}",
            "}",
        ]
    )
