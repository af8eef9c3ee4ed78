"""The rules of the verdict: declared in the spec, checked before any cell, and kept with the time of the first run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from selkit.api import UsageError
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.spec.spec import Spec
from selkit.plugins import did_you_mean
from selkit.stats import COMPOSITE, Rules
from selkit.store import Key, Store, canonical_json, digest_text

WIN_RATE_MARGIN = 2.5
"""Smallest difference in win rate that matters, in points, where the spec names no other (RELIABILITY 1.3)."""

_NO_DESIGN = (
    *("alpha", "control", "compare", "margins", "weights", "runs", "keep", "max_cost"),
    *("workers", "threads", "processes", "deepspeed", "device", "note"),
)
_GIVEN = ("model", "outputs")
_LATER = ("models", "recipes", "search", "seeds")
RULES_FILE = "rules.json"


def endpoints_of(experiment: Experiment) -> list[str]:
    """What arms are scored on: every test set under every judge, then every benchmark."""
    return [*_judged(experiment), *(endpoint.name for endpoint in experiment.benchmarks)]


def _judged(experiment: Experiment) -> list[str]:
    return [one.endpoint for testset in experiment.testsets for one in testset.judges]


def rules_of(experiment: Experiment, **more: Any) -> Rules:
    """The rules that the spec declares; ``more`` are fields that only the results tell (gaps, intersect).

    Without ``weights`` every test set and benchmark of the spec counts alike in the composite, and the members of a
    group share what it counts (RELIABILITY 1.3: equal by family). There is none where one test set has several judges:
    that is two readings of the same answers, and which of them counts is not for selkit to say.

    Raises:
        UsageError: A margin or a weight names nothing that arms are scored on, or is out of range.
    """
    spec, known = experiment.spec, endpoints_of(experiment)
    several = any(len(testset.judges) > 1 for testset in experiment.testsets)
    weights = spec.weights or (None if several or len(known) < 2 else shared_weights(known))
    for key, names in (("margins", spec.margins), ("weights", spec.weights or {})):
        allowed = [*known, COMPOSITE] if key == "margins" and weights else known
        for name in names:
            if name not in allowed:
                have = ", ".join(allowed) or "none"
                raise UsageError(f"{key}: nothing is scored on {name!r}: there is {have}.{did_you_mean(name, allowed)}")
    lora = tuple(name for name, recipe in experiment.recipes.items() if recipe.lora is not None)
    margins = dict.fromkeys(_judged(experiment), WIN_RATE_MARGIN) | spec.margins
    return Rules(control=spec.control, alpha=spec.alpha, margins=margins, weights=weights, lora=lora, **more)


def shared_weights(names: Sequence[str]) -> dict[str, float]:
    """Weights in which what comes before the slash counts once, however many members (``GROUP/MEMBER``) it has."""
    groups = Counter(name.partition("/")[0] for name in names)
    return {name: 1 / groups[name.partition("/")[0]] for name in names}


def declared(experiment: Experiment) -> dict[str, Any]:
    """The rules as plain data, with the margin of every endpoint."""
    rules = rules_of(experiment)
    names = [*([COMPOSITE] if rules.weights else []), *endpoints_of(experiment)]
    compared = [one.model_dump(mode="json", exclude_none=True) for one in experiment.spec.compare]
    return {
        "control": rules.control,
        "alpha": rules.alpha,
        "margins": {name: rules.margin(name) for name in names},
        "weights": dict(rules.weights or {}),
        **({"compare": compared} if compared else {}),
    }


def declare(experiment: Experiment, store: Store) -> dict[str, Any]:
    """The rules of this run, with the digest of those that were declared when this experiment first ran.

    The first run of a design stores its rules; they stand there for good, their digest in the manifest, and later runs
    are held against them.

    Returns:
        The rules, ``key`` of the stored declaration, ``digest`` of its rules, and ``changed``: the names of the rules
        that are others now.
    """
    rules = declared(experiment)
    text = canonical_json(rules)
    key = Key("rules", component=experiment.spec.name, parameters={"design": _design(experiment.spec)})

    def write(draft: Any) -> None:
        (draft.directory / RULES_FILE).write_text(text + "\n", encoding="utf-8")
        draft.facts["digest"] = digest_text(text)

    artifact = store.obtain(key, write)
    first = json.loads(artifact.file(RULES_FILE).read_text("utf-8"))
    changed = [name for name in {**rules, **first} if rules.get(name) != first.get(name)]
    return {**rules, "key": artifact.digest, "digest": artifact.facts["digest"], "changed": changed}


def changed_claims(declaration: dict[str, Any]) -> list[str]:
    """What cannot be claimed because the rules came after the results."""
    if not declaration["changed"]:
        return []
    names = ", ".join(declaration["changed"])
    return [
        f"The rules are not those that were declared when this experiment first ran ({names}): words that rest on them "
        "may have been chosen with results at hand."
    ]


def _design(spec: Spec) -> str:
    """Digest of the spec without the rules and without what changes no result."""
    parts = spec.model_dump(mode="json", by_alias=True)
    # Keys that came later count where they are used, so that what was declared before them is found again.
    parts["selectors"] = [{k: v for k, v in one.items() if k not in _GIVEN or v} for one in parts["selectors"]]
    unused = [name for name in _LATER if getattr(spec, name) == Spec.model_fields[name].get_default()]
    return digest_text(canonical_json({key: parts[key] for key in parts if key not in (*_NO_DESIGN, *unused)}))
