"""Arms that are given: a model that answers as it is, or stored outputs. They choose nothing and train nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selkit.experiment.setup.grid import Cell
from selkit.experiment.spec.entries import BASE
from selkit.experiment.spec.spec import Spec
from selkit.experiment.testsets.anchors import own_template, responses_to
from selkit.experiment.testsets.sets import JudgedSet
from selkit.models import check_model
from selkit.store import canonical_json, digest_text

Row = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """A given arm in one cell, which stands beside every pool, budget and recipe.

    Args:
        cell: The cell; it names the base model where that is what is given.
        model: Reference of the model that answers; empty where outputs are given.
        template: Name of the template that formats its prompts.
        outputs: The stored answers to every test set, by its label, as rows of responses.jsonl.
    """

    cell: Cell
    model: str = ""
    template: str = ""
    outputs: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def digest(self, testset: str) -> str:
        """Fingerprint of the stored answers to a test set."""
        return digest_text(canonical_json(list(self.outputs[testset])))


def given_arms(spec: Spec, models: Mapping[str, str], template: str, testsets: Sequence[JudgedSet]) -> list[Given]:
    """The given arms of a spec; of the base model one for each.

    Args:
        spec: The experiment.
        models: References of the base models by their names.
        template: Name of the template for models without a chat template of their own.
        testsets: What is answered.

    Raises:
        DataError: A model is missing, or outputs are missing, malformed, or lack a prompt.
    """
    found = []
    for entry in spec.given:
        if entry.outputs is not None:
            outputs = {one.label: _stored(entry.outputs, entry.arm, one) for one in testsets}
            found.append(Given(Cell("", None, entry.arm, 1), outputs=outputs))
            continue
        for name, ref in models.items() if entry.model == BASE else [("", entry.model or "")]:
            check_model(ref)
            tags = (name,) if name and len(models) > 1 else ()
            found.append(Given(Cell("", None, entry.arm, 1, "", name, tags), ref, own_template(ref, template)))
    return found


def _stored(path: Path, arm: str, testset: JudgedSet) -> list[Row]:
    responses = responses_to(testset.asked.testset, testset.asked.turns, path, f"the outputs {path} of arm {arm!r}")
    return [
        {"id": one.id, "prompt": one.prompt, "response": one.response, "history": _history(one.earlier)}
        for one in responses.values()
    ]


def _history(earlier: Sequence[tuple[str, str]]) -> list[Row]:
    return [{"role": role, "content": text} for pair in earlier for role, text in zip(_ROLES, pair, strict=True)]


_ROLES = ("user", "assistant")
