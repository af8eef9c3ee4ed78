"""Runs a judge over comparisons, in both orders, once per comparison, and goes on where a killed run stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal

from selkit.api import (
    Comparison,
    Context,
    ContractViolation,
    Judgement,
    Outcome,
    PairwiseJudge,
    PromptJudge,
    UsageError,
)
from selkit.files import tree_files
from selkit.judge.passes import pass_from_row, pass_row
from selkit.models import device_here, resolve
from selkit.models.client import address_inputs
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
    package_version,
    read_jsonl,
)

PASSES = "passes.jsonl"
BATCH = 64
Orders = Literal["both", "random", "first"]

PASSING = (Outcome.TIMEOUT, Outcome.API_ERROR, Outcome.BUDGET_STOP)
"""Outcomes that say nothing of the comparison: the next run asks again. What the judge itself said is kept."""


class _Unfinished(Exception):
    """Some passes have no answer of the judge yet; ``passes`` are all that there are."""

    def __init__(self, passes: list[Judgement]) -> None:
        super().__init__()
        self.passes = passes


def judge_pairs(
    judge: PairwiseJudge,
    comparisons: Sequence[Comparison],
    ctx: Context,
    store: Store,
    *,
    orders: Orders = "both",
    seed: int = 0,
) -> tuple[list[Judgement], Artifact | None]:
    """Every pass over ``comparisons``, from the store where the judge has seen the same before.

    Equal responses are a tie and are not shown to the judge. Passes that ended in a timeout, an error of the server or
    at the cap on costs come back as such, and the same call later asks for these alone.

    Args:
        judge: The judge.
        comparisons: What it compares; their ids differ.
        ctx: Its context.
        store: Where passes are kept.
        orders: Both orders of each comparison, the given one alone, or one drawn by the comparison's id.
        seed: Seed of that draw.

    Returns:
        The passes in the order of the comparisons, and the stored result; None while passes are to be asked again.

    Raises:
        UsageError: The judge needs references and a comparison has none.
        ContractViolation: The judge's answers do not match what it was asked.
    """
    check_judge(judge, comparisons)
    asked = in_orders(comparisons, orders, seed)
    key = judging_key(judge, asked)
    try:
        artifact = store.obtain(key, lambda draft: _judge_all(judge, asked, draft, ctx))
    except _Unfinished as unfinished:
        return unfinished.passes, None
    return [pass_from_row(row) for row in read_jsonl(artifact.file(PASSES))], artifact


def check_judge(judge: PairwiseJudge, comparisons: Sequence[Comparison]) -> None:
    """Makes sure before any work starts that a judge can judge these.

    Raises:
        MissingExtra: Something that the judge needs is not installed.
        UsageError: The judge needs references and a comparison has none, or is shown one turn and some have more.
    """
    check_requirements(judge)
    if judge.needs_reference and (bare := [c.id for c in comparisons if not c.reference]):
        raise UsageError(
            f"judge {judge.name!r} compares with references, and {len(bare)} prompts have none, e.g. {bare[0]!r}: "
            "take a test set with references, or another judge"
        )
    if long := [c.id for c in comparisons if len(c.earlier) >= judge.most_turns]:
        raise UsageError(
            f"{len(long)} comparisons, e.g. {long[0]!r}, have earlier turns, and under these settings judge "
            f"{judge.name!r} is shown {judge.most_turns} in all: take other settings or another judge"
        )


def judging_key(judge: PairwiseJudge, asked: Sequence[Comparison]) -> Key:
    """The key of the stored passes: the judge, its parameters and models, and all that it is shown.

    Where a model computes here: also the kind of device, and the versions of the packages that run it.
    """
    refs = {name: ref for name in judge.model_parameters() if (ref := getattr(judge, name)) is not None}
    inputs = {"comparisons": digest_text(canonical_json([_shown(c) for c in asked]))}
    inputs |= {name: resolve(ref).digest for name, ref in refs.items()}
    inputs |= address_inputs(judge) | _files_read(judge)
    versions = {name: package_version(name) or "absent" for name in ("torch", "transformers") if refs}
    conditions = {"device": device_here()} if refs else {}
    return Key("judgement", judge.name, judge.parameters(), provenance(judge) | versions, inputs, conditions)


def _shown(comparison: Comparison) -> list[Any]:
    """What a judge can be shown of a comparison; what few have stands only where there is some."""
    c = comparison
    more = {"earlier": [astuple(turn) for turn in c.earlier], "input": c.input}
    always = [c.id, c.order, c.prompt, c.first, c.second, c.reference]
    return [*always, {name: value for name, value in more.items() if value}] if any(more.values()) else always


def _files_read(judge: PairwiseJudge) -> dict[str, str]:
    """Digests of the files and folders that the judge's parameters name: other labels make another judgement."""
    digests: dict[str, str] = {}
    for name, value in vars(judge).items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path):
                files = tree_files(path) if path.is_dir() else [path]
                digests |= {f"{name}:{file}": digest_file(file) for file in files if file.is_file()}
    return digests


def in_orders(comparisons: Sequence[Comparison], orders: Orders, seed: int = 0) -> list[Comparison]:
    """The comparisons as a judge is asked about them; see :func:`judge_pairs`."""
    return [c for comparison in comparisons for c in _orders(comparison, orders, seed)]


def _orders(comparison: Comparison, orders: Orders, seed: int) -> tuple[Comparison, ...]:
    if orders == "both":
        return comparison, comparison.swapped()
    drawn = orders == "random" and int(digest_text(f"order\0{seed}\0{comparison.id}"), 16) % 2 == 1
    return (comparison.swapped() if drawn else comparison,)


def _judge_all(judge: PairwiseJudge, asked: Sequence[Comparison], draft: Draft, ctx: Context) -> None:
    partial = draft.partial / PASSES
    done = {(j.id, j.order): j for j in _stored(partial)}
    with JsonlWriter(partial) as writer:
        for judgement in passes_of(judge, [c for c in asked if (c.id, c.order) not in done], ctx):
            done[judgement.id, judgement.order] = judgement
            if judgement.outcome not in PASSING:
                writer.append(pass_row(judge.name, judgement))
    passes = [done[c.id, c.order] for c in asked]
    if any(one.outcome in PASSING for one in passes):
        raise _Unfinished(passes)
    draft.spend("judge_calls", float(sum(not c.equal for c in asked)), "measured")
    rows = (canonical_json(pass_row(judge.name, one)) for one in passes)
    atomic_write_text(draft.directory / PASSES, "".join(f"{row}\n" for row in rows))


def _stored(path: Path) -> Iterator[Judgement]:
    if path.exists():
        yield from (pass_from_row(row) for row in read_jsonl(path))


def passes_of(judge: PairwiseJudge, asked: Sequence[Comparison], ctx: Context) -> Iterator[Judgement]:
    """The judge's answers, each checked against the contract; those on equal responses (a tie, not asked) come first.

    The judge is asked in an order drawn by the ids, both orders of a comparison in a row, so that what was answered
    when the money ran out is a fair sample. A judge behind an endpoint answers as replies come in and is asked for all
    at once; others are asked in batches, so that a kill costs no more than one.

    Raises:
        ContractViolation: The judge's answers do not match what it was asked.
    """
    different = sorted((c for c in asked if not c.equal), key=lambda c: digest_text(c.id))
    yield from (Judgement.of(c, 0.5, "equal responses") for c in asked if c.equal)
    size = max(len(different), 1) if isinstance(judge, PromptJudge) else BATCH
    for start in range(0, len(different), size):
        batch = different[start : start + size]
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
    # read to its end, where a client says what it noticed of the answers as a whole
    if next(answers, None) is not None:
        raise ContractViolation(f"judge {judge.name!r} answered more comparisons than it was asked")
