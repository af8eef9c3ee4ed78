"""The anchor of a test set: the responses that judged runs are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selkit.api import DataError, UsageError
from selkit.judge import Response, read_responses, with_ids
from selkit.models import check_model, has_chat_template, prompt_template, resolve
from selkit.models.conversations import AnsweredTurns, turn_ids
from selkit.models.templates import CHAT
from selkit.pools import TestSet


@dataclass(frozen=True)
class Anchor:
    """Whose responses judged runs are compared with.

    Args:
        kind: 'random' (one extra random run per pool and budget), 'reference' (the test set's own answers), 'file' (a
            file of responses) or 'model' (a model that answers as it is).
        answers: Responses by their ids, where they are known before the run ('reference', 'file').
        model: The model's reference, for 'model'.
        template: Name of the template that formats its prompts: its own chat template where it has one, else the
            recipe's.
    """

    kind: Literal["random", "reference", "file", "model"]
    answers: Mapping[str, Response] | None = None
    model: str = ""
    template: str = ""


def read_anchor(anchor: str, testset: TestSet, template: str, turns: AnsweredTurns = "first") -> Anchor:
    """The anchor that a spec names.

    Args:
        anchor: As the spec has it.
        testset: What is answered.
        template: Name of the recipe's template.
        turns: Which turns of conversations are answered.

    Raises:
        UsageError: The anchor is 'reference', and there are prompts or later turns without a reference.
        DataError: The file lacks prompts of the test set, or there is neither a file nor a model of that name.
    """
    if anchor == "random":
        return Anchor("random")
    if anchor == "reference":
        return Anchor("reference", _references(testset, turns))
    if Path(anchor).is_file():
        return Anchor("file", responses_to(testset, turns, Path(anchor), f"the anchor {anchor}"))
    return _model(anchor, testset, template)


def _references(testset: TestSet, turns: AnsweredTurns) -> dict[str, Response]:
    bare = [prompt.id for prompt in testset.prompts if not prompt.reference]
    if bare:
        raise UsageError(
            f"the anchor of test set {testset.name!r} is its references, and {len(bare)} of {len(testset.prompts)} "
            "prompts have none: take another anchor, e.g. random"
        )
    if turns == "all" and any(prompt.turns for prompt in testset.prompts):
        raise UsageError(
            f"the anchor of test set {testset.name!r} is its references, and its later turns have none: leave turns: "
            "all out, or take another anchor, e.g. random"
        )
    return {p.id: Response(p.id, p.prompt.question, p.reference or "") for p in testset.prompts}


def responses_to(testset: TestSet, turns: AnsweredTurns, path: Path, what: str) -> dict[str, Response]:
    """The responses of a file to every prompt of a test set, by their ids; ``what`` names the file in errors.

    Raises:
        DataError: The file is missing or malformed, or lacks a prompt.
    """
    responses = with_ids(read_responses(path), {prompt.prompt.question: prompt.id for prompt in testset.prompts})
    wanted = [name for prompt in testset.prompts for name in turn_ids(prompt, turns)]
    missing = [name for name in wanted if name not in responses]
    if missing:
        every = " --turns all" if turns == "all" else ""
        raise DataError(
            f"{what} has no response to {len(missing)} of {len(wanted)} prompts of test set {testset.name!r} "
            f"({_some(missing)}): let its model answer them with `selkit generate{every}`"
        )
    return {name: responses[name] for name in wanted}


def _model(anchor: str, testset: TestSet, template: str) -> Anchor:
    try:
        check_model(anchor)
    except (DataError, UsageError) as error:
        raise DataError(
            f"the anchor {anchor!r} of test set {testset.name!r} is neither 'random', 'reference', a file of responses "
            f"nor a model ({error})"
        ) from error
    return Anchor("model", None, anchor, own_template(anchor, template))


def own_template(model: str, template: str) -> str:
    """Name of the template of a model that answers as it is: its own chat template where it has one, else this one."""
    own = CHAT if has_chat_template(resolve(model).path) else template
    prompt_template(own, model)
    return own


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
