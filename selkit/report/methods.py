"""The paragraph on methods that a paper needs: what was compared, how it was trained and judged, and by which versions.

Works are cited as ``[@key]`` in the plain text and as ``\\cite{key}`` in LaTeX; references.bib holds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from selkit.report.arms import ARMS
from selkit.report.bibtex import STATISTICS, works
from selkit.report.latex import escaped
from selkit.stats.rules import SECONDARY
from selkit.stats.variance import GUARD, POOL_FROM

Row = Mapping[str, Any]

_CITED = re.compile(r" ?\[@([^\]]+)\]")
_RECIPE = (
    ("learning rate", "learning_rate"),
    ("batch size", "batch_size"),
    ("epochs", "epochs"),
    ("steps", "max_steps"),
    ("scheduler", "scheduler"),
    ("warmup", "warmup"),
    ("weight decay", "weight_decay"),
    ("most tokens", "max_length"),
    ("template", "template"),
)


def methods_text(document: Row) -> str:
    """The paragraph as plain text, one sentence a line."""
    return "\n".join(_sentences(document)) + "\n"


def methods_latex(document: Row) -> str:
    """The paragraph as LaTeX."""
    return "\n".join(map(_latex, _sentences(document))) + "\n"


def _latex(sentence: str) -> str:
    parts = enumerate(_CITED.split(sentence))
    return "".join(rf"~\cite{{{part.replace('; @', ',')}}}" if place % 2 else escaped(part) for place, part in parts)


def _sentences(document: Row) -> Iterator[str]:
    cited = _Cited(document)
    yield from _design(document, cited)
    yield from _arms(document["spec"]["selectors"], cited)
    yield from _training(document, cited)
    yield from (_judged(testset, document["spec"]["control"], cited) for testset in document["spec"]["testsets"])
    yield from _benchmarks(document["spec"]["benchmarks"], cited)
    yield from _statistics(document, cited)
    yield from _versions(document)


class _Cited:
    """The keys of the works by what goes back to them."""

    def __init__(self, document: Row) -> None:
        self.works = works(document)

    def of(self, *prefixes: str) -> str:
        """The citation of what begins like this; nothing where no work is known."""
        keys = [work.key for work in self.works if work.of.startswith(prefixes)]
        return f" [@{'; @'.join(keys)}]" if keys else ""


def _design(document: Row, cited: _Cited) -> Iterator[str]:
    spec = document["spec"]
    rows = {row["pool"]: row["rows"] for row in (document.get("diagnostics") or {}).get("pools", ())}
    pools = [_pool_name(pool) for pool in spec["pools"]]
    named = _list(f"{name} ({rows[name]:,} rows)" if name in rows else name for name in pools or rows)
    arms = _list(name for name in map(_arm, spec["selectors"]) if name != spec["control"])
    yield (
        f"We compared {arms or 'no selector'} with {spec['control']} by selkit {document['selkit']}{_cite('selkit')}, "
        f"on {named or 'no pool'}, at budgets of {_list(map(str, spec['budgets']))}."
    )
    seeds = {name: seed for name, seed in (spec.get("seeds") or {}).items() if seed is not None}
    pinned = "".join(f", but for the seed of the {name}, which is {seed} throughout" for name, seed in seeds.items())
    counts: dict[str, set[int]] = {}
    for row in document["scores"]:
        counts.setdefault(row["arm"], set()).add(row["run"])
    if counts:
        runs = _list(f"{arm} {len(numbers)}" for arm, numbers in counts.items())
        yield f"Runs: {runs}; a run's number is the seed of its selection and of its training{pinned}."


def _arms(selectors: Sequence[Row], cited: _Cited) -> Iterator[str]:
    """A sentence on every arm: what it does, with its parameters and what it goes back to."""
    for selector in selectors:
        if not selector["name"]:
            yield _given(selector)
            continue
        arm, name = _arm(selector), str(selector["name"])
        parameters = _settings(selector["parameters"].items())
        known = cited.of(f"arm {arm}") if arm == name else cited.of(f"arm {arm}", f"arm {arm}-")
        with_them = f" with {parameters}" if parameters else ""
        if (does := ARMS.get(name)) is not None:
            also = "" if arm == name else f" is {name}, which"
            yield f"{arm}{also} {does}{f' ({parameters})' if parameters else ''}{known}."
        else:
            yield f"{arm} is the selector {name}{with_them}{known}."


def _given(selector: Row) -> str:
    """The sentence of an arm that chooses and trains nothing."""
    arm, nothing = _arm(selector), "nothing was selected or trained for it, and it is one run"
    if selector.get("outputs"):
        return f"{arm} is given by its outputs: {nothing}."
    model = "the base model" if selector["model"] == "base" else selector["model"]
    return f"{arm} is {model} as it is, without training: {nothing}."


def _training(document: Row, cited: _Cited) -> Iterator[str]:
    spec = document["spec"]
    models = [spec["model"]] if spec.get("model") else [one["model"] for one in spec.get("models") or ()]
    for recipe in document.get("recipes") or [document["recipe"]]:
        shown = [(label, recipe[name]) for label, name in _RECIPE if recipe.get(name) is not None]
        adapters = f"; adapters with {_settings(recipe['lora'].items())}" if recipe.get("lora") else ""
        yield (
            f"Recipe {recipe['name']}{cited.of('recipe ' + str(recipe['name']))} trained {_list(models)} with "
            f"{_settings(shown)}{adapters}."
        )


def _judged(testset: Row, control: str, cited: _Cited) -> str:
    name = str(testset["source"]).rpartition("/")[2].removesuffix(".jsonl")
    judges = _list(_judge(judge) for judge in testset["judges"])
    order = {"both": "in both orders", "random": "in a random order", "first": "in one order"}[testset["orders"]]
    anchor = {"random": f"those of one more run of {control}", "reference": "the test set's own answers"}
    against = anchor.get(testset["anchor"], f"those of {testset['anchor']}")
    count = f"{testset['prompts']} prompts of " if testset["prompts"] else ""
    most = f", at most {testset['max_new_tokens']} tokens" if testset["max_new_tokens"] else ""
    work, judge_work = cited.of(f"test set {name}"), cited.of(f"judge of {name}")
    return (
        f"Answers to {count}test set {name}{work} (decoding {testset['decoding']}{most}) were compared with {against} "
        f"by judge {judges}{judge_work} {order}; a prompt's score is the mean over its orders of win 1, tie 0.5 and "
        "loss 0."
    )


def _judge(judge: Any) -> str:
    if isinstance(judge, str):
        return judge
    settings = _settings((key, value) for key, value in judge.items() if key not in ("name", "as"))
    return f"{judge['name']}{f' ({settings})' if settings else ''}"


def _benchmarks(benchmarks: Sequence[Row], cited: _Cited) -> Iterator[str]:
    if benchmarks:
        yield f"Benchmarks{_cite('gao2023framework')}: {_list(_benchmark(row, cited) for row in benchmarks)}."


def _benchmark(row: Row, cited: _Cited) -> str:
    sample = f" (a sample of {row['sample']})" if row["sample"] else ""
    return f"{row['name']}{sample}{cited.of('benchmark ' + str(row['name']))}"


def _statistics(document: Row, cited: _Cited) -> Iterator[str]:
    if not document["verdicts"]:
        return
    rules = document["rules"]
    # Holm's p values are beside the point where one only looks for what might be worth a look
    size = max((row["family_size"] for row in document["verdicts"] if row["family"] != SECONDARY), default=0)
    holm, satterthwaite = STATISTICS
    yield (
        f"Effects are differences of mean scores from {rules['control']} on the same items, in points of 100, with a "
        f"variance over runs and items and a t test with Satterthwaite's degrees of freedom{_cite(satterthwaite)}; p "
        f"values are adjusted by Holm's method{_cite(holm)} over {size} comparisons at alpha {rules['alpha']:g}."
    )
    yield from _composite(rules.get("weights") or {})
    yield from _run_variance(document["verdicts"])
    if any(row.get("p_bh") is not None for row in document["verdicts"]):
        bh = cited.of("p values of exploratory verdicts")
        yield (
            "Verdicts on single benchmarks beside the composite are exploratory, a family of their own: they also have "
            f"p values by Benjamini and Hochberg's method{bh}."
        )
    margins = _settings((name, points) for name, points in rules["margins"].items() if points is not None)
    if margins:
        when = "declared before the first run" if not rules["changed"] else "changed after the first run"
        yield (
            f"Margins of equivalence, in points: {margins} ({when}; digest {rules['digest'][:12]}); 90% intervals are "
            f"held against them{cited.of('verdicts of equivalence')}."
        )
    if len(document.get("recipes") or ()) > 1:
        yield "Effects are means over the recipes."
    yield from _grid(document.get("grid") or {}, cited)


def _composite(weights: Mapping[str, float]) -> Iterator[str]:
    """What the composite is made of."""
    if not weights:
        return
    named = _list(f"{name} ({weight:g})" for name, weight in weights.items())
    alike = ", all of one weight" if len(set(weights.values())) == 1 else ""
    yield (
        "The composite is the weighted mean of the mean scores on "
        f"{_list(weights) + alike if alike else named}, taken within each run before its variance."
    )


def _run_variance(rows: Sequence[Row]) -> Iterator[str]:
    """Whose variance between runs an arm is judged with."""
    flags = {flag for row in rows for flag in row["flags"]}
    if "pooled_variance" in flags:
        yield (
            f"Where {POOL_FROM} selectors or more had two runs or more, each was judged with the mean of their "
            f"variances between runs; one with over {GUARD:g} times the median of the others kept its own."
        )
    if "borrowed_variance" in flags:
        yield (
            "An arm of one run was judged with the mean of the other selectors' variances between runs, or with the "
            "control's where no other selector had two runs."
        )
    if "borrowed_control_variance" in flags:
        yield "The control has one run and was judged with the selectors' variance between runs."


def _grid(grid: Mapping[str, Any], cited: _Cited) -> Iterator[str]:
    """How recipes, pools and budgets were put together."""
    if grid.get("flips"):
        yield (
            "Whether the recipe decides was tested by Welch's test of interaction and Cochran's Q"
            f"{cited.of('flips over recipes')}."
        )
    if grid.get("pooled"):
        yield (
            "Means over pools and budgets are of random effects, with Hartung and Knapp's interval"
            f"{cited.of('means over pools and budgets')}."
        )


def _versions(document: Row) -> Iterator[str]:
    versions: dict[str, set[str]] = {}
    for row in document["training"]:
        for package, version in row["versions"].items():
            versions.setdefault(package, set()).add(version)
    devices = sorted({f"{row['device']} ({row['precision']})" for row in document["training"]})
    if versions:
        named = _list(f"{package} {' and '.join(sorted(found))}" for package, found in sorted(versions.items()))
        yield f"Trained on {_list(devices)} with {named}."


def _arm(selector: Row) -> str:
    return str(selector.get("as") or str(selector["name"]).rpartition(":")[2] or "base")


def _pool_name(pool: Row) -> str:
    source = pool["source"]
    given = source if isinstance(source, str) else source.get("name") or source.get("path") or ""
    return str(pool.get("name") or given)


def _cite(key: str) -> str:
    return f" [@{key}]"


def _settings(pairs: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in pairs if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return f"({_settings(value.items())})"
    return _list(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _list(parts: Iterable[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    *first, last = [*parts] or [""]
    return f"{', '.join(first)} and {last}" if first else last
