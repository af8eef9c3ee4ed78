"""Answers to a test set: written in batches, kept as they come, in one file at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import DECODINGS, DataError, Decoding, Generation, LanguageModel, PromptTemplate, UsageError
from selkit.console import get_console
from selkit.models.context import default_device, default_threads
from selkit.models.conversations import AnsweredTurns, answer_turns
from selkit.models.hf import CPU, GPU
from selkit.models.load import check_engine, load_model
from selkit.models.refs import check_model, resolve
from selkit.models.templates import prompt_template
from selkit.pools import TestPrompt, TestSet, load_testset
from selkit.store import Artifact, Draft, JsonlWriter, Key, Store, atomic_write_bytes, read_jsonl

RESPONSES = "responses.jsonl"
_PARTIAL = "answers.jsonl"


@dataclass(frozen=True)
class GenerationReport:
    """What :func:`generate_responses` did.

    ``cut`` counts the answers that ended at the token limit; ``tokens`` those of all answers.
    """

    output: Path
    prompts: int
    answers: int
    tokens: int
    cut: int
    key: str

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return asdict(self) | {"output": str(self.output)}


@dataclass(frozen=True)
class GenerationJob:
    """What is to be answered, by what, and how; :meth:`prepare` checks it all before a model loads.

    Args:
        model: Reference of the model.
        testset: The prompts.
        template: What formats them.
        decoding: How answers are written.
        seed: Seed of sampling; greedy answers do not depend on it.
        device: 'cpu', 'cuda', ...
        turns: Whether only the first turn of each conversation is answered, or all.
    """

    model: str
    testset: TestSet
    template: PromptTemplate
    decoding: Decoding
    seed: int
    device: str
    turns: AnsweredTurns = "first"

    @classmethod
    def prepare(
        cls,
        model: str,
        prompts: str | Path | TestSet,
        *,
        decoding: str | Decoding = "greedy",
        samples: int | None = None,
        max_new_tokens: int | None = None,
        template: str = "alpaca",
        seed: int = 0,
        device: str | None = None,
        turns: AnsweredTurns = "first",
    ) -> GenerationJob:
        """A checked job from what a person says; see :func:`generate_responses` for the arguments."""
        from selkit.models.sampling import check_decoding

        check_engine()
        check_model(model)
        testset = prompts if isinstance(prompts, TestSet) else load_testset(prompts)
        chosen = _decoding(decoding)
        chosen = replace(
            chosen,
            samples=chosen.samples if samples is None else samples,
            max_new_tokens=chosen.max_new_tokens if max_new_tokens is None else max_new_tokens,
        )
        check_decoding(chosen)
        if turns == "all" and chosen.samples > 1:
            raise UsageError("several samples a prompt are no conversation to go on from: answer first turns alone")
        return cls(model, testset, prompt_template(template, model), chosen, seed, device or default_device(), turns)

    @property
    def key(self) -> Key:
        """What the answers depend on."""
        inputs = {"model": resolve(self.model).digest, "testset": self.testset.digest, "template": self.template.digest}
        conditions: dict[str, Any] = {"device": self.device.partition(":")[0]}
        if self.decoding.temperature > 0:
            conditions["seed"] = self.seed
        if conditions["device"] == "cpu":
            conditions["threads"] = default_threads()
        versions = {"selkit": __version__, "torch": version("torch"), "transformers": version("transformers")}
        turns = {} if self.turns == "first" else {"turns": self.turns}
        return Key("responses", "hf", asdict(self.decoding) | turns, versions, inputs, conditions)


def generate_responses(
    model: str,
    prompts: str | Path | TestSet,
    output: str | Path,
    *,
    decoding: str | Decoding = "greedy",
    samples: int | None = None,
    max_new_tokens: int | None = None,
    template: str = "alpaca",
    seed: int = 0,
    device: str | None = None,
    turns: AnsweredTurns = "first",
    store: Store | None = None,
    force: bool = False,
) -> GenerationReport:
    """Writes a model's answers to a test set: one JSON line per answer, in the order of the test set.

    A line has id, prompt, response (blanks at both ends taken off), finish_reason ('stop' or 'length') and tokens; with
    several samples a prompt, also sample (from 0); for a later turn of a conversation, also history. An interrupted
    call goes on where it stopped, and the same call again takes the answers from the store.

    Args:
        model: Reference of the model.
        prompts: A file, a named test set, or a test set.
        output: The file to write.
        decoding: A preset of :data:`selkit.api.DECODINGS`, or settings.
        samples: Answers per prompt, instead of the decoding's.
        max_new_tokens: Longest answer in tokens, instead of the decoding's.
        template: 'alpaca', 'wizardlm', 'plain', or 'chat' for the model's own.
        seed: Seed of sampling.
        device: 'cpu', 'cuda', ...; by default a GPU where there is one.
        turns: Whether only the first turn of each conversation is answered, or all; see :func:`answer_turns`.
        store: Where answers are kept, by default the user's store.
        force: Whether to replace a file that holds something else.

    Raises:
        DataError: The model, the prompts or the place to write to are no good, or a prompt fills the model's context.
        UsageError: A setting is unknown or contradicts another.
        MissingExtra: torch or transformers is not installed.
    """
    job = GenerationJob.prepare(
        model,
        prompts,
        decoding=decoding,
        samples=samples,
        max_new_tokens=max_new_tokens,
        template=template,
        seed=seed,
        device=device,
        turns=turns,
    )
    return run_generation(job, Path(output), store=store or Store(), force=force)


def run_generation(job: GenerationJob, output: Path, *, store: Store, force: bool = False) -> GenerationReport:
    """Does a prepared job; see :func:`generate_responses`."""
    _check_output(job, output, store, force)
    artifact = stored_answers(job, store)
    data = artifact.file(RESPONSES).read_bytes()
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(output, data)
    rows = read_jsonl(output)
    tokens, cut = sum(row["tokens"] for row in rows), sum(row["finish_reason"] == "length" for row in rows)
    return GenerationReport(output, len(job.testset.prompts), len(rows), tokens, cut, job.key.digest)


def stored_answers(job: GenerationJob, store: Store) -> Artifact:
    """The answers of a prepared job, its file :data:`RESPONSES`: from the store, or written now."""

    def answer(testset: TestSet, partial: Path | None) -> list[dict[str, Any]]:
        return answer_rows(
            lambda: load_model(job.model, device=job.device),
            testset,
            job.template,
            job.decoding,
            seed=job.seed,
            partial=partial,
            block=(CPU if job.device.startswith("cpu") else GPU).answers,
        )

    def make(draft: Draft) -> None:
        partial = draft.partial / _PARTIAL
        turns = job.turns == "all"
        rows = answer_turns(answer, job.testset, partial) if turns else answer(job.testset, partial)
        draft.spend("tokens.out", float(sum(row["tokens"] for row in rows)), "engine")
        atomic_write_bytes(draft.directory / RESPONSES, _lines(rows))

    return store.obtain(job.key, make)


def answer_rows(
    model: Callable[[], LanguageModel],
    testset: TestSet,
    template: PromptTemplate,
    decoding: Decoding,
    *,
    seed: int = 0,
    partial: Path | None = None,
    block: int = CPU.answers,
) -> list[dict[str, Any]]:
    """A model's answers as rows of responses.jsonl, in the order of the test set.

    Args:
        model: Gives the model; called only where there is something left to answer.
        testset: The prompts.
        template: What formats them.
        decoding: How answers are written.
        seed: Seed of sampling.
        partial: A file that answers are appended to as they come, and that a later call with the same arguments goes on
            from, at the end of a block: batches are then cut as without the interruption, and give the same answers.
        block: Prompts per block, a multiple of what the model answers at once.
    """
    if any(prompt.turns for prompt in testset.prompts):
        get_console().note(f"{testset.name}: only the first turn of each conversation is answered")
    texts = {prompt.id: template.prompt(prompt.prompt) for prompt in testset.prompts}
    # The longest prompt first: neighbours of like length need little padding.
    order = sorted(testset.prompts, key=lambda prompt: (-len(texts[prompt.id]), prompt.id))
    done = _read_partial(partial, decoding.samples)
    kept = len(list(takewhile(lambda prompt: prompt.id in done, order)))
    start = kept if kept == len(order) else kept - kept % block
    left = order[start:]
    if start:
        get_console().note(f"{testset.name}: {start} of {len(order)} prompts are answered already")
    if left:
        generated = model().generate([texts[prompt.id] for prompt in left], decoding, seed=seed)
        for rows in _kept(_rows(left, generated, decoding.samples), partial):
            done[rows[0]["id"]] = rows
    return [row for prompt in testset.prompts for row in done[prompt.id]]


def _rows(
    prompts: Sequence[TestPrompt], generated: Iterator[list[Generation]], samples: int
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one prompt at a time."""
    tracked = get_console().track(generated, total=len(prompts), description="generating")
    for prompt, answers in zip(prompts, tracked, strict=True):
        rows: list[dict[str, Any]] = [
            {
                "id": prompt.id,
                "prompt": prompt.prompt.question,
                "response": answer.text.strip(),
                "finish_reason": answer.finish_reason,
                "tokens": answer.tokens,
            }
            for answer in answers
        ]
        yield [row | {"sample": number} for number, row in enumerate(rows)] if samples > 1 else rows


def _read_partial(path: Path | None, samples: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the prompts that have all their answers; a kill can leave a prompt with some of them."""
    if path is None or not path.exists():
        return {}
    rows = {(row["id"], row.get("sample", 0)): row for row in read_jsonl(path)}
    numbers = range(samples)
    complete = [key for key, sample in rows if sample == 0 and all((key, number) in rows for number in numbers)]
    return {key: [rows[key, number] for number in numbers] for key in complete}


def _kept(written: Iterator[list[dict[str, Any]]], partial: Path | None) -> Iterator[list[dict[str, Any]]]:
    if partial is None:
        yield from written
        return
    with JsonlWriter(partial) as writer:
        for rows in written:
            writer.extend(rows)
            yield rows


def _lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode("utf-8", "backslashreplace")


def _check_output(job: GenerationJob, output: Path, store: Store, force: bool) -> None:
    if output.is_dir():
        raise DataError(f"{output} is a folder: name a file for the responses, e.g. {output / RESPONSES}")
    if not output.exists() or force:
        return
    stored = store.find(job.key)
    if stored is None or stored.file(RESPONSES).read_bytes() != output.read_bytes():
        raise DataError(f"{output} exists and holds something else: name another file, or replace it with --force")


def _decoding(decoding: str | Decoding) -> Decoding:
    if isinstance(decoding, Decoding):
        return decoding
    if decoding not in DECODINGS:
        raise UsageError(f"there is no decoding {decoding!r}: choose one of {', '.join(DECODINGS)}")
    return DECODINGS[decoding]
