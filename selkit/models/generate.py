"""Answers to a test set: written in batches, kept as they come, in one file at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import DECODINGS, DataError, Decoding, Generation, PromptTemplate, UsageError
from selkit.console import get_console
from selkit.models.client import ChatService
from selkit.models.context import default_threads
from selkit.models.conversations import AnsweredTurns, answer_turns
from selkit.models.engines import Engine, TextModel, engine_of
from selkit.models.hf import CPU
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
        engine: What runs the model.
        turns: Whether only the first turn of each conversation is answered, or all.
    """

    model: str
    testset: TestSet
    template: PromptTemplate
    decoding: Decoding
    seed: int
    engine: Engine
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
        template: str | None = None,
        seed: int = 0,
        device: str | None = None,
        turns: AnsweredTurns = "first",
        engine: str | Engine | None = None,
    ) -> GenerationJob:
        """A checked job from what a person says; see :func:`generate_responses` for the arguments."""
        from selkit.models.sampling import check_decoding

        runs = engine_of(engine, device) if engine is None or isinstance(engine, str) else engine
        runs.check(model)
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
        formats = runs.template(template or ("chat" if runs.name == "openai" else "alpaca"), model)
        return cls(model, testset, formats, chosen, seed, runs, turns)

    @property
    def key(self) -> Key:
        """What the answers depend on."""
        digest = self.engine.digest(self.model)
        inputs = {"model": digest, "testset": self.testset.digest, "template": self.template.digest}
        conditions = self.engine.conditions(default_threads())
        if self.decoding.temperature > 0:
            conditions["seed"] = self.seed
        versions = {"selkit": __version__, **self.engine.versions}
        turns = {} if self.turns == "first" else {"turns": self.turns}
        return Key("responses", self.engine.name, asdict(self.decoding) | turns, versions, inputs, conditions)


def generate_responses(
    model: str,
    prompts: str | Path | TestSet,
    output: str | Path,
    *,
    decoding: str | Decoding = "greedy",
    samples: int | None = None,
    max_new_tokens: int | None = None,
    template: str | None = None,
    seed: int = 0,
    device: str | None = None,
    turns: AnsweredTurns = "first",
    engine: str | None = None,
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
        template: 'alpaca' (the default), 'wizardlm', 'plain', or 'chat' for the model's own (the default for a server).
        seed: Seed of sampling.
        device: 'cpu', 'cuda', ...; by default a GPU where there is one.
        turns: Whether only the first turn of each conversation is answered, or all; see :func:`answer_turns`.
        engine: 'hf', 'vllm' or 'openai', see :func:`selkit.models.engines.engine_of`.
        store: Where answers are kept, by default the user's store.
        force: Whether to replace a file that holds something else.

    Raises:
        DataError: The model, the prompts or the place to write to are no good, or a prompt fills the model's context.
        UsageError: A setting is unknown or contradicts another.
        MissingExtra: What the engine needs is not installed.
    """
    store = store or Store()
    job = GenerationJob.prepare(
        model,
        prompts,
        decoding=decoding,
        samples=samples,
        max_new_tokens=max_new_tokens,
        template=template,
        seed=seed,
        turns=turns,
        engine=engine_of(engine, device, ChatService(store)),
    )
    return run_generation(job, Path(output), store=store, force=force)


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
            lambda: job.engine.open(job.model),
            testset,
            job.template,
            job.decoding,
            seed=job.seed,
            partial=partial,
            block=job.engine.together,
        )

    def make(draft: Draft) -> None:
        partial = draft.partial / _PARTIAL
        turns = job.turns == "all"
        rows = answer_turns(answer, job.testset, partial) if turns else answer(job.testset, partial)
        draft.spend("tokens.out", float(sum(row["tokens"] for row in rows)), "engine")
        atomic_write_bytes(draft.directory / RESPONSES, _lines(rows))

    return store.obtain(job.key, make)


def answer_rows(
    model: Callable[[], TextModel],
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
