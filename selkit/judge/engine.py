"""Runs a judge over comparisons, in both orders, once per comparison, and goes on where a killed run stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from selkit.api import Comparison, Context, ContractViolation, Judgement, PairwiseJudge, UsageError
from selkit.files import tree_files
from selkit.judge.passes import pass_from_row, pass_row
from selkit.models import resolve
from selkit.plugins import check_requirements, provenance
from selkit.store import (
    Artifact,
    Draft,
    JsonlWriter,
    Key,
    Store,
    atomic_write_text,
    canonical_json,
    digest_file,
    digest_text,
    read_jsonl,
)

PASSES = "passes.jsonl"
BATCH = 64
Orders = Literal["both", "first"]


def judge_pairs(
    judge: PairwiseJudge, comparisons: Sequence[Comparison], ctx: Context, store: Store, *, orders: Orders = "both"
) -> tuple[list[Judgement], Artifact]:
    """Every pass over ``comparisons``, from the store where the judge has seen the same before.

    Equal responses are a tie and are not shown to the judge.

    Raises:
        UsageError: The judge needs references and a comparison has none.
        ContractViolation: The judge's answers do not match what it was asked.
    """
    check_requirements(judge)
    if judge.needs_reference and (bare := [c.id for c in comparisons if not c.reference]):
        raise UsageError(
            f"judge {judge.name!r} compares with references, and {len(bare)} prompts have none, e.g. {bare[0]!r}: "
            "take a test set with references, or another judge"
        )
    asked = [c for comparison in comparisons for c in _orders(comparison, orders)]
    key = judging_key(judge, asked)
    artifact = store.obtain(key, lambda draft: _judge_all(judge, asked, draft, ctx))
    return [pass_from_row(row) for row in read_jsonl(artifact.file(PASSES))], artifact


def judging_key(judge: PairwiseJudge, asked: Sequence[Comparison]) -> Key:
    """The key of the stored passes: the judge, its parameters and models, and all that it is shown."""
    shown = [[c.id, c.order, c.prompt, c.first, c.second, c.reference] for c in asked]
    inputs = {"comparisons": digest_text(canonical_json(shown))}
    for name in judge.model_parameters():
        if (ref := getattr(judge, name)) is not None:
            inputs[name] = resolve(ref).digest
    return Key("judgement", judge.name, judge.parameters(), provenance(judge), inputs | _files_read(judge))


def _files_read(judge: PairwiseJudge) -> dict[str, str]:
    """Digests of the files and folders that the judge's parameters name: other labels make another judgement."""
    digests: dict[str, str] = {}
    for name, value in vars(judge).items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path):
                files = tree_files(path) if path.is_dir() else [path]
                digests |= {f"{name}:{file}": digest_file(file) for file in files if file.is_file()}
    return digests


def _orders(comparison: Comparison, orders: Orders) -> tuple[Comparison, ...]:
    return (comparison, comparison.swapped()) if orders == "both" else (comparison,)


def _judge_all(judge: PairwiseJudge, asked: Sequence[Comparison], draft: Draft, ctx: Context) -> None:
    partial = draft.partial / PASSES
    done = {(j.id, j.order): j for j in _stored(partial)}
    with JsonlWriter(partial) as writer:
        for judgement in passes_of(judge, [c for c in asked if (c.id, c.order) not in done], ctx):
            done[judgement.id, judgement.order] = judgement
            writer.append(pass_row(judge.name, judgement))
    rows = (canonical_json(pass_row(judge.name, done[c.id, c.order])) for c in asked)
    atomic_write_text(draft.directory / PASSES, "".join(f"{row}\n" for row in rows))


def _stored(path: Path) -> Iterator[Judgement]:
    if path.exists():
        yield from (pass_from_row(row) for row in read_jsonl(path))


def passes_of(judge: PairwiseJudge, asked: Sequence[Comparison], ctx: Context) -> Iterator[Judgement]:
    """The judge's answers, each checked against the contract; those on equal responses (a tie, not asked) come first.

    Raises:
        ContractViolation: The judge's answers do not match what it was asked.
    """
    different = [c for c in asked if c.first != c.second]
    yield from (Judgement.of(c, 0.5, "equal responses") for c in asked if c.first == c.second)
    for start in range(0, len(different), BATCH):
        batch = different[start : start + BATCH]
        yield from _checked(judge, batch, judge.compare(batch, ctx))


def _checked(judge: PairwiseJudge, batch: Sequence[Comparison], judgements: Iterable[Judgement]) -> Iterator[Judgement]:
    answers = iter(judgements)
    for comparison in batch:
        answer = next(answers, None)
        if answer is None or (answer.id, answer.order) != (comparison.id, comparison.order):
            raise ContractViolation(f"judge {judge.name!r} did not answer comparison {comparison.id!r} in its turn")
        if (answer.preference is None) == (answer.outcome == "ok"):
            raise ContractViolation(f"judge {judge.name!r}: a preference goes with the outcome ok and with no other")
        if answer.preference is not None and not 0 <= answer.preference <= 1:
            raise ContractViolation(f"judge {judge.name!r} gave {comparison.id!r} {answer.preference}: not in [0, 1]")
        yield answer
