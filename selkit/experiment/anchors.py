"""The anchor of a test set: the responses that judged runs are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selkit.api import DataError, UsageError
from selkit.judge import read_responses
from selkit.models import check_model, has_chat_template, prompt_template, resolve
from selkit.models.templates import CHAT
from selkit.pools import TestSet


@dataclass(frozen=True)
class Anchor:
    """Whose responses judged runs are compared with.

    Args:
        kind: 'random' (one extra random run per pool and budget), 'reference' (the test set's own answers), 'file' (a
            file of responses) or 'model' (a model that answers as it is).
        answers: Response by prompt, where they are known before the run ('reference', 'file').
        model: The model's reference, for 'model'.
        template: Name of the template that formats its prompts: its own chat template where it has one, else the
            recipe's.
    """

    kind: Literal["random", "reference", "file", "model"]
    answers: Mapping[str, str] | None = None
    model: str = ""
    template: str = ""


def read_anchor(anchor: str, testset: TestSet, template: str) -> Anchor:
    """The anchor that a spec names; ``template`` is the recipe's.

    Raises:
        UsageError: The test set has prompts without a reference, and the anchor is 'reference'.
        DataError: The file lacks prompts of the test set, or there is neither a file nor a model of that name.
    """
    if anchor == "random":
        return Anchor("random")
    if anchor == "reference":
        return Anchor("reference", _references(testset))
    if Path(anchor).is_file():
        return Anchor("file", _responses(Path(anchor), testset))
    return _model(anchor, testset, template)


def _references(testset: TestSet) -> dict[str, str]:
    bare = [prompt.id for prompt in testset.prompts if not prompt.reference]
    if bare:
        raise UsageError(
            f"the anchor of test set {testset.name!r} is its references, and {len(bare)} of {len(testset.prompts)} "
            "prompts have none: take another anchor, e.g. random"
        )
    return {prompt.id: prompt.reference or "" for prompt in testset.prompts}


def _responses(path: Path, testset: TestSet) -> dict[str, str]:
    responses = read_responses(path)
    missing = [prompt.id for prompt in testset.prompts if prompt.id not in responses]
    if missing:
        raise DataError(
            f"the anchor {path} has no response to {len(missing)} of {len(testset.prompts)} prompts of test set "
            f"{testset.name!r}, e.g. {missing[0]!r}: let its model answer them with `selkit generate`"
        )
    return {prompt.id: responses[prompt.id].response for prompt in testset.prompts}


def _model(anchor: str, testset: TestSet, template: str) -> Anchor:
    try:
        check_model(anchor)
    except (DataError, UsageError) as error:
        raise DataError(
            f"the anchor {anchor!r} of test set {testset.name!r} is neither 'random', 'reference', a file of responses "
            f"nor a model ({error})"
        ) from error
    own = CHAT if has_chat_template(resolve(anchor).path) else template
    prompt_template(own, anchor)
    return Anchor("model", None, anchor, own)
