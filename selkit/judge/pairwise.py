"""Two files of responses, one judge: who wins, and how far that can be believed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selkit.api import Chat, Comparison, DataError, Judgement, PairwiseJudge, UsageError
from selkit.judge.canaries import PROMPTS, CanaryReport, canary_comparisons, holds_verdict, judge_canaries
from selkit.judge.engine import Orders, check_judge, in_orders, judge_pairs, judging_key
from selkit.judge.intervals import bootstrap_ratio
from selkit.judge.passes import item_scores, judge_health, order_bias, pass_row, score_bounds, share
from selkit.judge.rates import Rates, length_bias
from selkit.judge.responses import join_files, prompt_id
from selkit.judge.rules import Rule, verdicts
from selkit.models import HostContext
from selkit.pools import load_testset
from selkit.store import Store, atomic_write_text, canonical_json

PASSES = "passes.jsonl"
CANARY_PASSES = "canaries.jsonl"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class PairwiseJob:
    """What is judged, by whom, and how; :meth:`prepare` checks it all before anything is asked.

    Args:
        judge: The judge.
        comparisons: What it compares; ``first`` is the response of the first file.
        unmatched: Ids that only one file has.
        orders: In which orders it sees them.
        rule: How the passes of a comparison become a verdict.
        seed: Seed of the orders, where they are drawn.
        canaries: Prompts on which each canary is tried; 0 for none.
        chat: Serves the endpoints that the judge asks; by default those of the user's store.
    """

    judge: PairwiseJudge
    comparisons: tuple[Comparison, ...]
    unmatched: tuple[str, ...]
    orders: Orders = "both"
    rule: Rule = "net"
    seed: int = 0
    canaries: int = 0
    chat: Callable[[str], Chat] | None = field(default=None, compare=False)

    @classmethod
    def prepare(
        cls,
        first: Path,
        second: Path,
        judge: PairwiseJudge,
        *,
        orders: Orders = "both",
        rule: Rule | None = None,
        testset: str | None = None,
        seed: int = 0,
        canaries: bool | int = False,
    ) -> PairwiseJob:
        """The job on two files of responses, joined by id.

        Args:
            first: One side's responses.jsonl; the result is about this side.
            second: The other side's.
            judge: The judge.
            orders: Both orders, the given one alone, or one drawn by each id.
            rule: By default ``net``, and ``single`` where each comparison is judged in one order.
            testset: Where references are, for judges that compare with them: a file or a named test set.
            seed: Seed of the draw of orders.
            canaries: Whether canaries are tried too; a number says on how many prompts each.

        Raises:
            UsageError: The rule needs both orders, or the judge needs references and there are none.
            DataError: A file is missing or malformed, or the two have no id in common.
            MissingExtra: Something that the judge needs is not installed.
        """
        rule = rule or ("net" if orders == "both" else "single")
        if orders != "both" and rule != "single":
            raise UsageError(f"the rule {rule!r} needs both orders: take --orders both, or --rule single")
        comparisons, unmatched = join_files(first, second)
        comparisons = with_testset(comparisons, testset)
        check_judge(judge, comparisons)
        prompts = PROMPTS if canaries is True else int(canaries)
        return cls(judge, tuple(comparisons), tuple(unmatched), orders, rule, seed, prompts)

    @property
    def asked(self) -> list[Comparison]:
        """What the judge is asked about, equal responses and canaries left out."""
        return [c for c in in_orders(self.comparisons, self.orders, self.seed) if not c.equal]

    @property
    def canaries_asked(self) -> list[Comparison]:
        """The canaries that it is asked about."""
        return in_orders(canary_comparisons(self.comparisons, self.canaries), "both") if self.canaries else []

    @property
    def key(self) -> str:
        """Digest of all that the passes depend on."""
        return judging_key(self.judge, in_orders(self.comparisons, self.orders, self.seed)).digest


@dataclass(frozen=True)
class PairwiseResult:
    """What a judge said of two files of responses. All rates are about the first file's.

    Args:
        job: What was judged.
        passes: The passes, in the order of the comparisons.
        complete: Whether every pass has an answer of the judge; else the same call asks for the missing ones.
        canaries: How the judge did on canaries, where they were tried.
        canary_passes: Its passes over them.
    """

    job: PairwiseJob
    passes: tuple[Judgement, ...]
    complete: bool
    canaries: CanaryReport | None = None
    canary_passes: tuple[Judgement, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Every rate with its interval, as JSON writes it."""
        job, by_id = self.job, verdicts(self.passes, self.job.rule)
        rates = Rates.of(by_id.values())
        scores = list(item_scores(self.passes).values())
        bias, length = order_bias(self.passes), length_bias(job.comparisons, by_id)
        return {
            "judge": job.judge.name,
            "parameters": job.judge.parameters(),
            "rule": job.rule,
            "orders": job.orders,
            **{name: getattr(rates, name) for name in ("n", "win", "tie", "lose", "unparsed", "ws", "wr", "qs")},
            "score": _mean([score for score in scores if score is not None]),
            **judge_health(self.passes),
            "length_bias": length.rate,
            "length_bias_n": length.n,
            "bounds": {**rates.bounds(), "score": score_bounds(scores)},
            "intervals": {
                **rates.intervals(),
                "score": _score_interval(scores),
                "first_position_rate": bias.first_position_interval,
                "inconsistency": bias.inconsistency_interval,
                "length_bias": length.interval,
            },
            "equal": sum(c.equal for c in job.comparisons),
            "unmatched": len(job.unmatched),
            "verdict_like": _verdict_like(job.comparisons),
            "usage": _total_usage([*self.passes, *self.canary_passes]),
            "complete": self.complete,
            "key": job.key,
            **({"canaries": self.canaries.to_dict()} if self.canaries else {}),
        }


def run_pairwise(job: PairwiseJob, store: Store) -> PairwiseResult:
    """Judges what the store does not have yet.

    Raises:
        ContractViolation: The judge's answers do not match what it was asked.
    """
    ctx = judging_context(job, store)
    passes, artifact = judge_pairs(job.judge, job.comparisons, ctx, store, orders=job.orders, seed=job.seed)
    if not job.canaries:
        return PairwiseResult(job, tuple(passes), artifact is not None)
    report, canary_passes = judge_canaries(job.judge, job.comparisons, ctx, store, prompts=job.canaries)
    return PairwiseResult(job, tuple(passes), artifact is not None, report, tuple(canary_passes))


def judging_context(job: PairwiseJob, store: Store) -> HostContext:
    """The context that a judge gets from commands; its calls are charged to the passes."""
    return HostContext(seed=job.seed, cache_dir=store.root, chat_service=job.chat, account=lambda: job.key)


def with_testset(comparisons: Sequence[Comparison], testset: str | None) -> list[Comparison]:
    """The comparisons with what a test set knows of their prompts: reference and input."""
    prompts = load_testset(testset).prompts if testset else ()
    known = {name: prompt for prompt in prompts for name in (prompt_id(prompt.prompt.question), prompt.id)}
    return [
        replace(c, reference=known[c.id].reference, input=known[c.id].prompt.input) if c.id in known else c
        for c in comparisons
    ]


def check_folder(directory: Path, job: PairwiseJob, *, force: bool = False) -> None:
    """Makes sure before anything is asked that results can go to a folder.

    Raises:
        DataError: It holds the result of another judging, or cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{directory} cannot be written ({error.strerror}): choose another folder with -o") from error
    found = next((name for name in (PASSES, SUMMARY, CANARY_PASSES) if (directory / name).exists()), None)
    if found and not force and _key_in(directory / SUMMARY) != job.key:
        raise DataError(f"{directory} holds another judging ({found}): choose another folder, or add --force")


def write_result(result: PairwiseResult, directory: Path) -> None:
    """Writes passes.jsonl, summary.json and, with canaries, canaries.jsonl into a folder."""
    judge = result.job.judge.name
    files = {PASSES: result.passes} | ({CANARY_PASSES: result.canary_passes} if result.canaries else {})
    for name, passes in files.items():
        rows = (canonical_json(pass_row(judge, one)) for one in passes)
        atomic_write_text(directory / name, "".join(f"{row}\n" for row in rows))
    summary = json.dumps(result.to_dict(), indent=1, ensure_ascii=False)
    atomic_write_text(directory / SUMMARY, summary + "\n")


def _key_in(path: Path) -> str | None:
    try:
        key: str | None = json.loads(path.read_text(encoding="utf-8")).get("key")
        return key
    except (OSError, ValueError, AttributeError):
        return None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _score_interval(scores: Sequence[float | None]) -> tuple[float, float] | None:
    import numpy as np

    known = np.array([score for score in scores if score is not None], dtype=np.float64)
    return bootstrap_ratio(known, np.ones_like(known))


def _verdict_like(comparisons: Sequence[Comparison]) -> dict[str, float | None]:
    """Share of each side's responses that hold what looks like a verdict."""
    count = len(comparisons)
    return {
        "first": share(sum(holds_verdict(c.first) for c in comparisons), count),
        "second": share(sum(holds_verdict(c.second) for c in comparisons), count),
    }


def _total_usage(passes: Sequence[Judgement]) -> Mapping[str, float]:
    total: Counter[str] = Counter()
    for one in passes:
        total.update(one.usage)
    return dict(sorted(total.items()))
